// An upstream on node's http module: what it understood goes to the log, a line a request that it read whole (and one per error of its
// parser); each is answered 204 with x-upstream. upstream_node.js LOG; prints its port.
const http = require("http");
const fs = require("fs");
const log = fs.openSync(process.argv[2], "a");
const tell = (o) => fs.writeSync(log, JSON.stringify(o) + "\n");
const server = http.createServer({ maxHeaderSize: 128 * 1024, requestTimeout: 0 }, (request, response) => {
  let body = 0;
  request.on("data", (d) => { body += d.length; });
  request.on("end", () => {
    const fields = [];
    for (let i = 0; i < request.rawHeaders.length; i += 2) fields.push([request.rawHeaders[i].toLowerCase(), request.rawHeaders[i + 1]]);
    tell({ method: request.method, target: request.url, fields, body, trailers: request.rawTrailers });
    response.writeHead(204, { "x-upstream": "node" });
    response.end();
  });
  request.on("error", () => {});
});
server.keepAliveTimeout = 60000;
server.on("clientError", (e, socket) => {
  // the second: the connection ended within a body
  if (e.code !== "ECONNRESET") tell(e.code === "HPE_INVALID_EOF_STATE" ? { cut: true } : { error: e.code });
  socket.destroy();
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.on("SIGTERM", () => process.exit(0));
