/*
 * Every row of the route table: against the message table (who may send it, in which order, what
 * fits) and against contrib/openapi.yaml, in both directions. The description is read line by line
 * at the indentation it is written with.
 */
#include "api/request.h"
#include "base/auto.h"
#include "check.h"

#include <broker/provider.h>

enum { LINE = 512 };

/* ---- against the message table */

TEST(every_row_sends_a_message_its_role_may_send)
{
    for (size_t i = 0; route_at(i); i++) {
        const struct route *r = route_at(i);
        const struct msg_rule *m = msg_rule(r->type);
        CHECK(m && (r->role == FROM_API || r->role == FROM_ADMIN));
        if (!(m->from & r->role))
            printf("    %s %s: %s\n", r->method, r->path, m->name);
        CHECK(m->from & r->role);
        CHECK((m->flags & (M_CONN | M_FD)) == (M_CONN | M_FD));
    }
}

TEST(every_message_an_api_role_may_send_has_a_row)
{
    for (unsigned t = 1; t < MSG__COUNT; t++) {
        const struct msg_rule *m = msg_rule(t);
        if (!(m->from & (FROM_API | FROM_ADMIN)) || t == MSG_READY || t == MSG_CLOSED)
            continue;
        bool found = false;
        for (size_t i = 0; route_at(i); i++)
            found |= route_at(i)->type == (enum msg_type)t;
        if (!found)
            printf("    %s has no endpoint\n", m->name);
        CHECK(found);
    }
}

TEST(fields_stand_in_the_order_of_tags_and_their_kinds_fit)
{
    static const char kind[F__COUNT] = {
#define KIND(n, k, max) [F_##n] = #k[0],
        BROKER_FIELDS(KIND)
#undef KIND
    };
    for (size_t i = 0; route_at(i); i++) {
        const struct route *r = route_at(i);
        CHECK(r->n_fields <= ROUTE_MAX_FIELDS);
        for (size_t k = 0; k < r->n_fields; k++) {
            const struct route_field *f = &r->fields[k];
            CHECK(k == 0 || f->field > f[-1].field || f->field == NOT_SENT);
            CHECK(f->field != NOT_SENT || ((r->flags & ROUTE_ENROLLS) && f->max > 0));
            CHECK(!(r->flags & ROUTE_ENROLLS) || f->field > F_BODY);
            CHECK(route_field_max(f) > 0);
            if (f->field == NOT_SENT)
                continue;
            char want = f->kind == K_NUMBER || f->kind == K_BOOL ? 'U'
                        : f->kind == K_LIST                      ? 'L'
                                                                 : 'S';
            CHECK(kind[f->field] == want || (want == 'S' && kind[f->field] == 'B'));
        }
    }
}

TEST(rows_with_a_body_take_one_and_others_have_no_members)
{
    for (size_t i = 0; route_at(i); i++) {
        const struct route *r = route_at(i);
        bool writes = strcmp(r->method, "POST") == 0 || strcmp(r->method, "PUT") == 0;
        CHECK_INT(writes, r->body_max > 0);
        for (size_t k = 0; k < r->n_fields; k++)
            CHECK(writes || (r->fields[k].from != IN_BODY && r->fields[k].from != IN_BEARER));
    }
}

TEST(every_parameter_of_a_path_is_a_field_and_the_reverse)
{
    for (size_t i = 0; route_at(i); i++) {
        const struct route *r = route_at(i);
        unsigned in_path = 0, fields = 0;
        for (const char *p = r->path; (p = strchr(p, '{')) != NULL; p++)
            in_path++;
        for (size_t k = 0; k < r->n_fields; k++) {
            char braced[64];
            snprintf(braced, sizeof(braced), "{%s}", r->fields[k].name);
            if (r->fields[k].from == IN_PATH) {
                fields++;
                CHECK(strstr(r->path, braced));
            }
        }
        CHECK_INT(in_path, fields);
        CHECK(in_path <= ROUTE_MAX_PARAMS);
    }
}

TEST(no_two_rows_of_a_role_answer_the_same_request)
{
    for (size_t i = 0; route_at(i); i++)
        for (size_t k = i + 1; route_at(k); k++) {
            const struct route *a = route_at(i), *b = route_at(k);
            CHECK(a->role != b->role || strcmp(a->method, b->method) != 0 ||
                  strcmp(a->path, b->path) != 0);
        }
}

/* The fullest request of a row makes a message that its receiver takes. */
TEST(a_full_request_of_every_row_is_a_valid_message)
{
    static const char list[] = "\0\1x\0\1y";
    for (size_t i = 0; route_at(i); i++) {
        const struct route *r = route_at(i);
        struct values v = {0};
        struct why why = {0};
        struct msg m;
        AUTO(buf_free) struct buf out = {.max = MSG_MAX};
        for (size_t k = 0; k < r->n_fields; k++) {
            v.given |= 1u << k;
            v.number[k] = 1;
            v.text[k] = r->fields[k].kind == K_LIST ? VIEW(list, sizeof(list) - 1) : view_str("a");
        }
        CHECK_OK(request_check(r, &v, &why), why);
        if (r->flags & ROUTE_ENROLLS)
            v.credential = view_str("c");
        CHECK_OK(request_message(r, &v, (struct request_ids){7, 9}, &out, &why), why);
        CHECK_OK(msg_parse(buf_view(&out), r->role, &m, &why), why);
        CHECK_INT(m.type, r->type);
        for (size_t k = 0; k < r->n_fields; k++)
            CHECK(r->fields[k].field == NOT_SENT || m.has[r->fields[k].field]);
    }
}

/* ---- against the description */

struct yaml {
    FILE *f;
    char path[LINE], method[16], socket[16], line[LINE];
    enum { ELSEWHERE, PARAMETERS, PROPERTIES } part;
};

/* At the first line below `paths:`. */
static bool yaml_open(struct yaml *y)
{
    static const char *const place[] = {"contrib/openapi.yaml", "../contrib/openapi.yaml"};
    *y = (struct yaml){0};
    for (size_t i = 0; !y->f && i < COUNT(place); i++)
        y->f = fopen(place[i], "re");
    while (y->f && fgets(y->line, sizeof(y->line), y->f))
        if (strncmp(y->line, "paths:", 6) == 0)
            return true;
    return false;
}

static size_t indent(const char *s)
{
    return strspn(s, " ");
}

/* The word up to its colon. */
static void word(const char *s, char *out, size_t room)
{
    size_t n = strcspn(s, ":\n");
    snprintf(out, room, "%.*s", (int)n, s);
}

/* The next line below `paths:`, with y's place brought up to date; false at the end of that part.
 */
static bool yaml_next(struct yaml *y)
{
    if (!fgets(y->line, sizeof(y->line), y->f) || strncmp(y->line, "components:", 11) == 0)
        return false;
    const char *s = y->line + indent(y->line);
    switch (indent(y->line)) {
    case 2:
        word(s, y->path, sizeof(y->path));
        break;
    case 4:
        word(s, y->method, sizeof(y->method));
        break;
    case 6:
        y->part = strncmp(s, "parameters:", 11) == 0 ? PARAMETERS : ELSEWHERE;
        (void)!sscanf(s, "x-socket: %15s", y->socket);
        break;
    case 14:
        y->part = strncmp(s, "properties:", 11) == 0 ? PROPERTIES : ELSEWHERE;
        break;
    default:
        break;
    }
    return true;
}

static bool socket_has(const char *socket, uint32_t role)
{
    return strcmp(socket, "both") == 0 ||
           strcmp(socket, role == FROM_API ? "consumer" : "admin") == 0;
}

/* The row at the description's place for a role; NULL when there is none. */
static const struct route *row_of(const struct yaml *y, uint32_t role)
{
    for (size_t i = 0; route_at(i); i++)
        if (route_at(i)->role == role && strcmp(route_at(i)->path, y->path) == 0 &&
            strcasecmp(route_at(i)->method, y->method) == 0)
            return route_at(i);
    return NULL;
}

static bool row_has(const struct route *r, const char *name, bool in_body)
{
    for (size_t i = 0; r && i < r->n_fields; i++) {
        enum route_from from = r->fields[i].from;
        if (strcmp(r->fields[i].name, name) == 0 &&
            (in_body ? from == IN_BODY : from == IN_PATH || from == IN_QUERY))
            return true;
    }
    return false;
}

static bool some_row_has(const struct yaml *y, const char *name, bool in_body)
{
    return (socket_has(y->socket, FROM_API) && row_has(row_of(y, FROM_API), name, in_body)) ||
           (socket_has(y->socket, FROM_ADMIN) && row_has(row_of(y, FROM_ADMIN), name, in_body));
}

TEST(what_is_described_exists)
{
    struct yaml y;
    char name[64];
    unsigned operations = 0;
    CHECK(yaml_open(&y));
    while (yaml_next(&y)) {
        bool operation = strstr(y.line, "      x-socket:") == y.line;
        if (operation) {
            operations++;
            for (uint32_t role = FROM_API; role <= FROM_ADMIN; role++)
                if (socket_has(y.socket, role) != (row_of(&y, role) != NULL))
                    printf("    %s %s (%s)\n", y.method, y.path, y.socket);
            CHECK_INT(socket_has(y.socket, FROM_API), row_of(&y, FROM_API) != NULL);
            CHECK_INT(socket_has(y.socket, FROM_ADMIN), row_of(&y, FROM_ADMIN) != NULL);
        }
        bool parameter =
            y.part == PARAMETERS && sscanf(y.line, "        - {name: %63[^,]", name) == 1;
        bool member = y.part == PROPERTIES && indent(y.line) == 16;
        if (member)
            word(y.line + 16, name, sizeof(name));
        if ((parameter || member) && !some_row_has(&y, name, member))
            printf("    %s %s: %s\n", y.method, y.path, name);
        CHECK(!(parameter || member) || some_row_has(&y, name, member));
    }
    fclose(y.f);
    CHECK(operations > 20);
}

/* Does the description show this field of this row? */
static bool described(const struct route *r, const struct route_field *f)
{
    struct yaml y;
    char name[64];
    bool found = false;
    if (!yaml_open(&y))
        return false;
    while (!found && yaml_next(&y)) {
        if (!socket_has(y.socket, r->role) || strcmp(y.path, r->path) != 0 ||
            strcasecmp(y.method, r->method) != 0)
            continue;
        if (!f)
            found = true;
        else if (f->from == IN_BEARER)
            found = strstr(y.line, "security: [{bearer: []}]") != NULL;
        else if (f->from == IN_BODY)
            found = y.part == PROPERTIES && indent(y.line) == 16 &&
                    (word(y.line + 16, name, sizeof(name)), strcmp(name, f->name) == 0);
        else
            found = y.part == PARAMETERS && sscanf(y.line, "        - {name: %63[^,]", name) == 1 &&
                    strcmp(name, f->name) == 0;
    }
    fclose(y.f);
    return found;
}

TEST(what_exists_is_described)
{
    for (size_t i = 0; route_at(i); i++) {
        const struct route *r = route_at(i);
        if (!described(r, NULL))
            printf("    %s %s is not described\n", r->method, r->path);
        CHECK(described(r, NULL));
        for (size_t k = 0; k < r->n_fields; k++) {
            const struct route_field *f = &r->fields[k];
            if (f->from == IN_ROW)
                continue;
            if (!described(r, f))
                printf("    %s %s: %s is not described\n", r->method, r->path, f->name);
            CHECK(described(r, f));
        }
    }
}
