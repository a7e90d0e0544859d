#!/bin/sh
# Four consumers that may use one Claude login. Running it again changes nothing. UIDS: who the agents run as in their containers.
set -eu
uids=${UIDS:-1000}
broker-cli status >/dev/null || exit # says itself how to start one
for agent in orchestrator marie anga fabien; do
    broker-cli consumer show "$agent" >/dev/null 2>&1 || broker-cli consumer add "$agent" --uid "$uids" --note "codehornets" >/dev/null
    broker-cli grant "$agent" claude --deliver access_token,file --ttl 15m --max-ttl 30d --owner process >/dev/null
done
broker-cli consumer list
