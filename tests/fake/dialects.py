"""What the fake provider answers: the replies of Anthropic, OpenAI, ChatGPT and Gemini, in JSON and as event streams, with usage.

Each maker takes (ask, text) and returns (content type, pieces): pieces of one reply, in order. `ask` is the decoded request ({} when it was not
JSON), with the account that is expected in ask["_account"].
"""
import json
import time

USAGE = {"input": 21, "output": 9, "cached": 4}
ANSWER = "Forty-two, said the fake provider, and it streamed."


def words(text):
    """The text in pieces, so that a stream is one."""
    return [part + " " for part in text.split(" ")[:-1]] + [text.split(" ")[-1]]


def event(data, name=None):
    return ((f"event: {name}\n" if name else "") + f"data: {json.dumps(data)}\n\n").encode()


def stream(pieces):
    return "text/event-stream", pieces


def plain(data):
    return "application/json", [json.dumps(data).encode()]


def no_such_model(path):
    return {"error": {"type": "not_found_error", "message": f"the fake provider has no {path.split('?')[0]}"}}


# ---- Anthropic (Messages API; events as its streaming guide lists them)

def anthropic_message(ask, text):
    usage = {"input_tokens": USAGE["input"], "output_tokens": 1, "cache_read_input_tokens": USAGE["cached"], "cache_creation_input_tokens": 0}
    message = {"id": "msg_fake", "type": "message", "role": "assistant", "model": ask.get("model", "claude-fake"), "content": [],
               "stop_reason": None, "stop_sequence": None, "usage": usage}
    if not ask.get("stream"):
        done = {"content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "usage": {**usage, "output_tokens": USAGE["output"]}}
        return plain({**message, **done})
    named = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": w}} for w in words(text)),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": USAGE["output"]}},
        {"type": "message_stop"},
    ]
    return stream([event(e, e["type"]) for e in named])


def anthropic_count(ask, text):
    return plain({"input_tokens": USAGE["input"]})


def anthropic_models(ask, text):
    model = {"type": "model", "id": "claude-sonnet-4-5", "display_name": "Fake", "created_at": "2026-01-01T00:00:00Z"}
    return plain({"data": [model], "has_more": False, "first_id": model["id"], "last_id": model["id"]})


def anthropic_error(status, message):
    kind = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error", 529: "overloaded_error"}.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"}


# ---- OpenAI (Responses, Chat Completions) and ChatGPT's backend, which speaks Responses

def openai_response(ask, text):
    usage = {"input_tokens": USAGE["input"], "input_tokens_details": {"cached_tokens": USAGE["cached"]}, "output_tokens": USAGE["output"],
             "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": USAGE["input"] + USAGE["output"]}
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"type": "message", "id": "msg_fake", "role": "assistant", "status": "completed", "content": [part]}
    begun = {"id": "resp_fake", "object": "response", "created_at": int(time.time()), "status": "in_progress", "model": ask.get("model", "gpt-fake"),
             "output": [], "usage": None, "error": None}
    done = {**begun, "status": "completed", "output": [item], "usage": usage}
    if not ask.get("stream"):
        return plain(done)
    at = {"item_id": "msg_fake", "output_index": 0, "content_index": 0}
    events = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "status": "in_progress", "content": []}},
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **at, "delta": w} for w in words(text)),
        {"type": "response.output_text.done", **at, "text": text},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": done},
    ]
    return stream([event({**e, "sequence_number": n}, e["type"]) for n, e in enumerate(events)])


def openai_chat(ask, text):
    usage = {"prompt_tokens": USAGE["input"], "completion_tokens": USAGE["output"], "total_tokens": USAGE["input"] + USAGE["output"],
             "prompt_tokens_details": {"cached_tokens": USAGE["cached"]}}
    head = {"id": "chatcmpl-fake", "created": int(time.time()), "model": ask.get("model", "gpt-fake")}
    if not ask.get("stream"):
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", "logprobs": None}
        return plain({**head, "object": "chat.completion", "choices": [choice], "usage": usage})
    head["object"] = "chat.completion.chunk"
    deltas = [{"role": "assistant", "content": ""}, *({"content": w} for w in words(text))]
    events = [{**head, "choices": [{"index": 0, "delta": d, "finish_reason": None}]} for d in deltas]
    events.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if (ask.get("stream_options") or {}).get("include_usage"):
        events.append({**head, "choices": [], "usage": usage})
    return stream([event(e) for e in events] + [b"data: [DONE]\n\n"])


def openai_models(ask, text):
    """`data` is what the API documents, `models` is where Codex looks; empty: it keeps to those it knows."""
    return plain({"object": "list", "data": [{"id": "gpt-5.1", "object": "model", "created": 1, "owned_by": "fake"}], "models": []})


def chatgpt_accounts(ask, text):
    """Where Codex asks, before anything else, which workspace its login belongs to."""
    return plain({"accounts": [{"id": ask["_account"], "plan_type": "pro", "structure": "personal"}], "default_account_id": ask["_account"],
                  "account_ordering": [ask["_account"]]})


def openai_error(status, message):
    code = {401: "invalid_api_key", 429: "rate_limit_exceeded"}.get(status, "server_error")
    return {"error": {"message": message, "type": "invalid_request_error" if status < 500 else "server_error", "param": None, "code": code}}


# ---- Gemini

def gemini_usage():
    return {"promptTokenCount": USAGE["input"], "cachedContentTokenCount": USAGE["cached"], "candidatesTokenCount": USAGE["output"],
            "totalTokenCount": USAGE["input"] + USAGE["output"]}


def gemini_piece(text, last):
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if last:
        candidate["finishReason"] = "STOP"
    return {"candidates": [candidate], "usageMetadata": gemini_usage(), "modelVersion": "gemini-fake", "responseId": "fake"}


def gemini_generate(ask, text):
    return plain(gemini_piece(text, True))


def gemini_stream(ask, text):
    parts = words(text)
    return stream([event(gemini_piece(w, n == len(parts) - 1)) for n, w in enumerate(parts)])


def gemini_count(ask, text):
    return plain({"totalTokens": USAGE["input"]})


def gemini_models(ask, text):
    return plain({"models": [{"name": "models/gemini-2.5-flash", "supportedGenerationMethods": ["generateContent", "countTokens"]}]})


def gemini_error(status, message):
    name = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 429: "RESOURCE_EXHAUSTED"}.get(status, "UNAVAILABLE")
    return {"error": {"code": status, "message": message, "status": name}}


ERRORS = {"anthropic": anthropic_error, "openai": openai_error, "gemini": gemini_error}
