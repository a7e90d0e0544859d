/*
 * Events on stderr for the operator: level, stable name, key=value. Only programs' top layers log (a library
 * function returns its error instead). Values are escaped; never pass a secret. With journald on stderr
 * (JOURNAL_STREAM) the level is written as an sd-daemon(3) "<N>" prefix.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_LVL_ERROR, LOG_LVL_WARN, LOG_LVL_INFO, LOG_LVL_DEBUG };

void log_open(const char *role, enum log_level max);
/* log_event(LOG_LVL_INFO, "worker.exit", "role", "api", "status", "9", NULL): pairs of strings, NULL ends. */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));

#endif
