// One streamed message through @anthropic-ai/sdk, told of key and base URL by its own environment variables only.
import { createRequire } from "node:module";
const require = createRequire(process.env.CLIENTS + "/");
const { default: Anthropic } = await import(require.resolve("@anthropic-ai/sdk"));
const stream = new Anthropic().messages.stream({
    model: "claude-opus-5-5", max_tokens: 100, messages: [{ role: "user", content: process.argv[2] ?? "hello" }],
});
let pieces = 0;
stream.on("text", (text) => { pieces++; process.stdout.write(text); });
await stream.done();
process.stdout.write("\n");
process.stderr.write(`${pieces} pieces\n`);
