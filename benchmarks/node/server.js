// Node's Socket.IO server with the handlers of ../apps: node server.js PORT
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Server } from "socket.io";

function compute(seconds) {
  const end = performance.now() + seconds * 1000;
  let total = 0;
  while (performance.now() < end) {
    for (let number = 0; number < 1000; number += 1) total += number * number;
  }
  return total;
}

const interval = process.env.BENCHMARK_PING_INTERVAL;
const options = interval ? { pingInterval: interval * 1000 } : {};
const http = createServer((request, response) => response.end("ready"));
const io = new Server(http, options);

io.on("connection", (socket) => {
  socket.on("echo", (data) => socket.emit("echo", data));
  socket.on("ack", (data, callback) => callback(data));
  socket.on("broadcast", (data) => io.emit("broadcast", data));
  socket.on("room", (name, data) => io.to(name).emit("room", data));
  socket.on("join", (name, callback) => {
    socket.join(name);
    callback(name);
  });
  socket.on("leave", (name, callback) => {
    socket.leave(name);
    callback(name);
  });
  socket.on("sleep", async (seconds, callback) => {
    await sleep(seconds * 1000);
    callback("done");
  });
  socket.on("compute", (seconds, callback) => {
    compute(seconds);
    callback("done");
  });
});

// Its own answer to signals would be to die of them, which is right here.
http.listen(Number(process.argv[2]), "127.0.0.1");
