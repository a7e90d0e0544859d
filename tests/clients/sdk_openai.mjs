// One streamed response and one streamed chat completion through the openai package, told of key and base URL by its own environment variables only.
import { createRequire } from "node:module";
const require = createRequire(process.env.CLIENTS + "/");
const { default: OpenAI } = await import(require.resolve("openai"));
const client = new OpenAI();
const ask = process.argv[2] ?? "hello";
let pieces = 0;
const show = (text) => { if (text) { pieces++; process.stdout.write(text); } };
for await (const event of await client.responses.create({ model: "gpt-5.1", input: ask, stream: true }))
    if (event.type === "response.output_text.delta") show(event.delta);
process.stdout.write("\n");
for await (const chunk of await client.chat.completions.create({ model: "gpt-5.1", messages: [{ role: "user", content: ask }], stream: true }))
    show(chunk.choices[0]?.delta?.content);
process.stdout.write("\n");
process.stderr.write(`${pieces} pieces\n`);
