/* The consumers' front: our own HTTP/1.1. */
#define RIG_FRONT &front_wire
#define OURS true
#include "front.h"
