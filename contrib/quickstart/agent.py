#!/usr/bin/env python3
"""Stands for an agent: asks its model, at the address and with the key that it finds in its environment, and says what it was given."""
import json
import os
import urllib.request

url, key = os.environ["ANTHROPIC_BASE_URL"], os.environ["ANTHROPIC_API_KEY"]
body = {"model": "claude-sonnet-4-5", "max_tokens": 64, "messages": [{"role": "user", "content": "Say hello."}]}
request = urllib.request.Request(url + "/v1/messages", json.dumps(body).encode(),
                                 {"x-api-key": key, "anthropic-version": "2023-06-01", "content-type": "application/json"})
with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as reply:
    answer = json.load(reply)
print(f"  agent: my key is {key[:20]}… ({len(key)} characters), my model is at {url}")
print(f"  agent: it answers: {answer['content'][0]['text'][:60]}")
