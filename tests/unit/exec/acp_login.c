/* The handshake of an ACP client and its adapter, and the login between the two. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "exec/acp_login.h"

static struct why why;
static struct loop *loop;
static struct acp_login *login;
static struct acp_stream *up, *down;
static int client[2], adapter[2];         /* what they write */
static int to_client[2], to_adapter[2];   /* what they read */
static char at_client[65536], at_adapter[65536]; /* what came since it was looked at */
static int given;
static enum acp_way way;
static char reason[200];

static void on_given(void *ctx, enum acp_way w, const char *text)
{
    (void)ctx;
    given++;
    way = w;
    snprintf(reason, sizeof(reason), "%s", text);
}
static void on_slow(void *ctx)
{
    (void)ctx;
}
static void on_over(void *ctx, bool lost)
{
    (void)ctx, (void)lost;
}
static void on_stop(void *ctx)
{
    loop_stop(ctx, 0);
}
static void run(void)
{
    struct loop_timer *t = NULL;
    CHECK(loop_timer_new(loop, on_stop, loop, &t) == ERR_OK);
    CHECK(loop_timer_set(t, clock_boot_ms() + 5) == ERR_OK);
    (void)loop_run(loop);
    loop_timer_free(t);
}
static void take(int fd, char *text, size_t room)
{
    ssize_t n = read(fd, text, room - 1);
    text[n > 0 ? n : 0] = '\0';
}
static void look(void)
{
    run();
    take(to_client[0], at_client, sizeof(at_client));
    take(to_adapter[0], at_adapter, sizeof(at_adapter));
}
static void client_says(const char *text)
{
    CHECK(write(client[1], text, strlen(text)) == (ssize_t)strlen(text));
    look();
}
static void adapter_says(const char *text)
{
    CHECK(write(adapter[1], text, strlen(text)) == (ssize_t)strlen(text));
    look();
}

static void begin(const char *token)
{
    struct acp_login_options o = {"anthropic", "http://127.0.0.1:1", "x-api-key", on_given, on_slow, NULL};
    given = 0;
    (void)signal(SIGPIPE, SIG_IGN);
    CHECK(pipe2(client, O_CLOEXEC) == 0 && pipe2(adapter, O_CLOEXEC) == 0);
    CHECK(pipe2(to_client, O_CLOEXEC) == 0 && pipe2(to_adapter, O_CLOEXEC) == 0);
    CHECK(fcntl(to_client[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(to_adapter[0], F_SETFL, O_NONBLOCK) == 0);
    CHECK_OK(loop_new(&loop, &why), why);
    CHECK_OK(acp_login_new(loop, &o, &login, &why), why);
    struct acp_stream_options u = {client[0], to_adapter[1], true, acp_login_judge_up, acp_login_whole_up, on_over, login},
                              d = {adapter[0], to_client[1], true, acp_login_judge_down, acp_login_whole_down, on_over, login};
    CHECK_OK(acp_stream_new(loop, &u, &up, &why), why);
    CHECK_OK(acp_stream_new(loop, &d, &down, &why), why);
    acp_login_streams(login, up, down);
    if (token)
        CHECK(acp_login_give(login, token, 0));
}
static void end(void)
{
    static int *const fds[] = {client, adapter, to_client, to_adapter};
    acp_stream_free(up);
    acp_stream_free(down);
    acp_login_free(login);
    loop_free(loop);
    for (int i = 0; i < 4; i++) {
        close(fds[i][0]);
        if (i < 2)
            close(fds[i][1]);
    }
}

/* The id of the last request of ours that the adapter got. */
static const char *our_id(void)
{
    static char id[64];
    const char *p = strstr(at_adapter, "\"broker-exec-");
    CHECK(p != NULL);
    snprintf(id, sizeof(id), "%.*s", (int)(strchr(p + 1, '"') + 1 - p), p);
    return id;
}
static void adapter_answers(const char *rest)
{
    char line[1000];
    snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":%s,%s}\n", our_id(), rest);
    adapter_says(line);
}

#define HELLO     "{\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":1}}\n"
#define PROVIDERS "\"agentCapabilities\":{\"providers\":{}}"
#define GATEWAY   "\"authMethods\":[{\"id\":\"gateway\",\"_meta\":{\"gateway\":{\"protocol\":\"anthropic\"}}}]"
#define LIST      "\"result\":{\"providers\":[{\"providerId\":\"main\",\"supported\":[\"anthropic\"]}]}"
#define ANSWER(what) "{\"id\":1,\"result\":{\"protocolVersion\":1," what "}}\n"

static void by_providers(const char *token)
{
    begin(token);
    client_says(HELLO);
    adapter_says(ANSWER(PROVIDERS));
    adapter_answers(LIST);
    adapter_answers("\"result\":{}");
    CHECK_INT(given, 1);
}

TEST(the_session_waits_for_the_login)
{
    begin("token-1");
    client_says(HELLO "{\"id\":2,\"method\":\"session/new\"}\n");
    CHECK_STR(at_adapter, "{\"id\":1,\"method\":\"initialize\",\"params\":{\"clientCapabilities\":{\"auth\":{\"_meta\":{\"gateway\":true}}},\"protocolVersion\":1}}\n");
    adapter_says(ANSWER(PROVIDERS "," GATEWAY));
    CHECK_STR(at_client, ANSWER(PROVIDERS ",\"authMethods\":[]"));
    CHECK(strstr(at_adapter, "providers/list") && !strstr(at_adapter, "session/new"));
    adapter_answers(LIST);
    CHECK(strstr(at_adapter, "\"providers/set\",\"params\":{\"providerId\":\"main\"") && strstr(at_adapter, "\"x-api-key\":\"token-1\""));
    CHECK_STR(at_client, "");
    CHECK_INT(given, 0);
    adapter_answers("\"result\":{}");
    CHECK(given == 1 && way == ACP_BY_PROVIDERS);
    CHECK_STR(at_adapter, "{\"id\":2,\"method\":\"session/new\"}\n");
    CHECK_STR(at_client, "");
    end();
}

TEST(another_token_in_a_running_session)
{
    by_providers("token-1");
    CHECK(acp_login_give(login, "token-2", 0));
    client_says("{\"id\":3,\"method\":\"session/prompt\"}\n"); /* nobody waits */
    CHECK(strstr(at_adapter, "providers/set") && strstr(at_adapter, "token-2") && strstr(at_adapter, "session/prompt"));
    CHECK(!strstr(at_adapter, "providers/list"));
    char id[64];
    snprintf(id, sizeof(id), "%s", our_id());
    CHECK(acp_login_give(login, "token-3", 0)); /* one after the other */
    look();
    CHECK_STR(at_adapter, "");
    snprintf(at_adapter, sizeof(at_adapter), "%s", id);
    adapter_answers("\"result\":{}");
    CHECK(strstr(at_adapter, "token-3") != NULL);
    adapter_answers("\"result\":{}");
    CHECK(given == 3 && way == ACP_BY_PROVIDERS);
    end();
}

TEST(a_session_that_was_never_asked_is_spared)
{
    by_providers("token-1");
    client_says("{\"id\":2,\"method\":\"session/new\"}\n");
    CHECK(acp_login_give(login, "token-2", 60000));
    look();
    CHECK_STR(at_adapter, "");
    client_says("{\"id\":3,\"method\":\"session/prompt\"}\n");
    char *prompt = strstr(at_adapter, "session/prompt"), *set = strstr(at_adapter, "token-2");
    CHECK(prompt && set && prompt < set);
    adapter_answers("\"result\":{}");
    CHECK_INT(given, 2);
    CHECK(acp_login_give(login, "token-3", 60000)); /* it was asked */
    look();
    CHECK(strstr(at_adapter, "token-3") != NULL);
    adapter_answers("\"result\":{}");
    client_says("{\"id\":4,\"method\":\"session/new\"}\n");
    CHECK(acp_login_give(login, "token-4", 20));
    for (int i = 0; i < 10; i++)
        run();
    look();
    CHECK(strstr(at_adapter, "token-4") != NULL); /* but not for ever */
    end();
}

TEST(a_gateway_where_there_are_no_providers)
{
    begin("token-1");
    client_says(HELLO);
    adapter_says(ANSWER(GATEWAY));
    CHECK(strstr(at_adapter, "\"method\":\"authenticate\",\"params\":{\"methodId\":\"gateway\"") != NULL);
    adapter_answers("\"result\":{}");
    CHECK(given == 1 && way == ACP_BY_GATEWAY);
    end();
}

TEST(a_gateway_where_the_provider_is_refused)
{
    begin("token-1");
    client_says(HELLO);
    adapter_says(ANSWER(PROVIDERS "," GATEWAY));
    adapter_answers(LIST);
    adapter_answers("\"error\":{\"code\":1,\"message\":\"no listing\"}");
    CHECK(strstr(at_adapter, "authenticate") != NULL);
    adapter_answers("\"error\":{\"code\":1,\"message\":\"nor this\"}");
    CHECK(given == 1 && way == ACP_BY_ENVIRONMENT);
    CHECK(strstr(reason, "nor this") != NULL);
    CHECK(acp_login_give(login, "token-2", 0)); /* the next one may be taken */
    look();
    CHECK(strstr(at_adapter, "providers/set") != NULL);
    end();
}

TEST(a_provider_that_was_taken_once_is_tried_again)
{
    begin("token-1");
    client_says(HELLO);
    adapter_says(ANSWER(PROVIDERS "," GATEWAY));
    adapter_answers(LIST);
    adapter_answers("\"result\":{}");
    CHECK(acp_login_give(login, "token-2", 0));
    look();
    adapter_answers("\"error\":{\"code\":1,\"message\":\"the models cannot be listed\"}");
    CHECK_STR(at_adapter, ""); /* a gateway is for sessions to come */
    CHECK(given == 2 && way == ACP_BY_ENVIRONMENT);
    CHECK(acp_login_give(login, "token-2", 0));
    look();
    adapter_answers("\"result\":{}");
    CHECK(given == 3 && way == ACP_BY_PROVIDERS);
    end();
}

TEST(nothing_where_there_is_nothing)
{
    begin("token-1");
    client_says(HELLO "{\"id\":2,\"method\":\"authenticate\",\"params\":{}}\n");
    adapter_says(ANSWER("\"authMethods\":[]"));
    CHECK(given == 1 && way == ACP_BY_ENVIRONMENT);
    CHECK_STR(at_adapter, "{\"id\":2,\"method\":\"authenticate\",\"params\":{}}\n"); /* the adapter's to answer */
    CHECK(!acp_login_give(login, "token-2", 0));
    end();
}

TEST(an_adapter_that_fails_is_the_clients)
{
    begin("token-1");
    client_says(HELLO "next\n");
    adapter_says("{\"id\":1,\"error\":{\"code\":-1}}\n");
    CHECK_STR(at_client, "{\"id\":1,\"error\":{\"code\":-1}}\n");
    CHECK_STR(at_adapter, "next\n");
    client_says(HELLO);
    adapter_says(ANSWER(GATEWAY)); /* the second time it is well */
    CHECK(strstr(at_adapter, "authenticate") != NULL);
    end();
}

TEST(the_login_is_not_the_clients_to_change)
{
    by_providers("token-1");
    client_says("{\"id\":5,\"method\":\"authenticate\",\"params\":{\"methodId\":\"x\"}}\n");
    CHECK_STR(at_adapter, "");
    CHECK_STR(at_client, "{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}}\n");
    static const char *const methods[] = {"logout", "auth/logout", "providers/set", "providers/disable"};
    for (size_t i = 0; i < 4; i++) {
        char line[100];
        snprintf(line, sizeof(line), "{\"id\":6,\"method\":\"%s\"}\n", methods[i]);
        client_says(line);
        CHECK_STR(at_adapter, "");
        CHECK(strstr(at_client, "{\"jsonrpc\":\"2.0\",\"id\":6,\"error\":{\"code\":-32600") == at_client);
    }
    client_says("{\"method\":\"logout\"}\n{\"id\":7,\"method\":\"providers/list\"}\n"); /* no request; no change */
    CHECK_STR(at_adapter, "{\"method\":\"logout\"}\n{\"id\":7,\"method\":\"providers/list\"}\n");
    end();
}

TEST(a_client_with_gateways_sees_them)
{
    begin("token-1");
    client_says("{\"id\":1,\"method\":\"initialize\",\"params\":{\"clientCapabilities\":{\"auth\":{\"_meta\":{\"gateway\":true}}}}}\n");
    adapter_says(ANSWER(GATEWAY));
    CHECK_STR(at_client, ANSWER(GATEWAY));
    end();
}

TEST(answers_are_told_apart_by_their_ids)
{
    begin("token-1");
    client_says(HELLO);
    adapter_says("{\"id\":2,\"result\":{" PROVIDERS "}}\n{\"id\":\"1\",\"result\":{}}\n{\"id\":1,\"method\":\"ask\"}\n");
    CHECK_STR(at_adapter, "");
    CHECK_STR(at_client, "{\"id\":2,\"result\":{" PROVIDERS "}}\n{\"id\":\"1\",\"result\":{}}\n{\"id\":1,\"method\":\"ask\"}\n");
    adapter_says(ANSWER(PROVIDERS));
    char id[64];
    snprintf(id, sizeof(id), "%s", our_id());
    adapter_says("{\"id\":\"broker-exec-0-1\",\"result\":{}}\n");
    CHECK_STR(at_client, "{\"id\":\"broker-exec-0-1\",\"result\":{}}\n"); /* not our prefix */
    snprintf(at_adapter, sizeof(at_adapter), "%s", id);
    adapter_answers(LIST);
    CHECK(strstr(at_adapter, "providers/set") != NULL);
    char line[200], now[64];
    snprintf(now, sizeof(now), "%s", our_id());
    snprintf(line, sizeof(line), "{\"id\":%s,\"result\":{}}\n", id); /* once more: it is not the answer that is waited for */
    adapter_says(line);
    CHECK(given == 0 && !at_client[0]);
    snprintf(at_adapter, sizeof(at_adapter), "%s", now);
    adapter_answers("\"result\":{}");
    adapter_says(line);
    CHECK_STR(at_client, "");
    CHECK_INT(given, 1);
    end();
}
