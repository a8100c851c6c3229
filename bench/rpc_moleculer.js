// One process of the echo contest, on Moleculer: DIR, then the arguments of rpc_troupe.
// Tuned: it keeps 256 messages in flight instead of 1, and does not wait to fill a packet (TCP_NODELAY).
"use strict";
const fs = require("fs");
const path = require("path");

const WARM_UP_S = 0.5;
const TEXT = "x".repeat(200);
const TICKS = 100; // a second, in /proc (proc(5): sysconf(_SC_CLK_TCK), 100 on Linux)

const [directory, role, url, prefix, inFlight, seconds, server] = process.argv.slice(2);
const { ServiceBroker } = require(path.join(directory, "node_modules", "moleculer"));

function makeBroker() {
  const options = {
    url,
    prefetch: 256,
    socketOptions: { noDelay: true },
    autoDeleteQueues: 5000, // ms
    exchangeOptions: { durable: false, autoDelete: true },
  };
  return new ServiceBroker({
    namespace: prefix,
    nodeID: `${role}-${process.pid}`,
    transporter: { type: "AMQP", options },
    logger: false,
  });
}

async function serve() {
  const broker = makeBroker();
  broker.createService({ name: "echo", actions: { echo: (ctx) => ({ text: ctx.params.text }) } });
  await broker.start();
  console.log("ready");
}

async function ask() {
  const broker = makeBroker();
  await broker.start();
  await broker.waitForServices("echo", 10000);
  await loop(broker, WARM_UP_S);
  const own = process.cpuUsage(), theirs = cpuUs(server), started = performance.now();
  const latencies = await loop(broker, Number(seconds));
  const elapsed = (performance.now() - started) / 1000, spent = process.cpuUsage(own), number = latencies.length;
  latencies.sort((a, b) => a - b);
  const sample = {
    value: number / elapsed,
    p50_ms: latencies[Math.floor(number / 2)],
    p99_ms: latencies[Math.floor((number * 99) / 100)],
    cpu_us: { client: (spent.user + spent.system) / number, server: (cpuUs(server) - theirs) / number },
  };
  await broker.stop();
  console.log(JSON.stringify(sample));
}

async function loop(broker, seconds) {
  const latencies = [], end = performance.now() + seconds * 1000;
  let asked = 0;
  async function caller() {
    for (let at = performance.now(); at < end; at = performance.now()) {
      const text = `${asked++} ${TEXT}`;
      const said = await broker.call("echo.echo", { text });
      if (said.text !== text) throw new Error("an answer belongs to another question");
      latencies.push(performance.now() - at);
    }
  }
  await Promise.all(Array.from({ length: Number(inFlight) }, caller));
  return latencies;
}

function cpuUs(pid) {
  if (!fs.existsSync("/proc")) return 0;
  const fields = fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(")").pop().trim().split(/\s+/);
  return ((Number(fields[11]) + Number(fields[12])) / TICKS) * 1e6;
}

(role === "serve" ? serve() : ask()).catch((error) => {
  console.error(error);
  process.exit(1);
});
