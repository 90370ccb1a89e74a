// So many jobs of BullMQ that do nothing: node bullmq.mjs PORT COUNT AT_ONCE.
// Prints the seconds from the first submission to the end of the last job.
import { Queue, Worker } from "bullmq";

const [port, count, atOnce] = process.argv.slice(2).map(Number);
const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null };
const name = `noops-${process.pid}`;
const queue = new Queue(name, { connection });
await queue.waitUntilReady();

let done = 0;
let finish;
const finished = new Promise((resolve) => (finish = resolve));
const worker = new Worker(name, async (job) => ({ number: job.data.number }), {
  connection,
  concurrency: atOnce,
  autorun: false,
});
await worker.waitUntilReady();
worker.on("completed", () => {
  if (++done === count) finish();
});

const began = performance.now();
const running = worker.run();
for (let first = 0; first < count; first += 1000) {
  const jobs = [];
  for (let number = first; number < Math.min(first + 1000, count); number++)
    jobs.push({ name: "noop", data: { number } });
  await queue.addBulk(jobs);
}
await finished;
console.log(`took ${(performance.now() - began) / 1000}`);
await worker.close();
await queue.obliterate({ force: true });
await queue.close();
await running;
