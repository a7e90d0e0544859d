/* The operators' front: libmicrohttpd. */
#define RIG_FRONT &front_http
#define OURS false
#include "front.h"
