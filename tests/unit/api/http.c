/* The operators' front: libmicrohttpd. */
#define RIG_FRONT &front_http
#define OURS false
#include "front.h"

/* An enrolment is larger than any request of a consumer: only this front takes it. */
TEST(a_large_body_arrives_whole)
{
    static char body[100 * 1024];
    struct rig r;
    struct msg m;
    rig_open(&r, FROM_ADMIN, NULL, 0);
    int fd = http_connect(&r);
    int n = snprintf(body, sizeof(body), "{\"name\":\"a\",\"provider\":\"generic\",\"data\":\"");
    memset(body + n, 's', 60000);
    snprintf(body + n + 60000, 16, "\"}");
    http_request(fd, "POST", "/v1/credentials", NULL, body);
    rig_expect(&r, MSG_CRED_PUT, &m);
    CHECK(m.field[F_BODY].n > 60000);
    rig_reply(&r, m.id, ERR_OK, "{}");
    http_read(fd, &a);
    CHECK_INT(a.status, 200);
    close(fd);
    CHECK_INT(rig_close(&r), 0);
}
