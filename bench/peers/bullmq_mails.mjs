// Mails as jobs of BullMQ: worker `node bullmq_mails.mjs work`, producer `node bullmq_mails.mjs`.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Queue, Worker } from "bullmq";
import nodemailer from "nodemailer";

const { AT_ONCE, BROKER_URL, MAIL_FILE, SMTP_PORT } = process.env;
const { hostname, port } = new URL(BROKER_URL);
const connection = { host: hostname, port: Number(port), maxRetriesPerRequest: null };

if (process.argv[2] === "work") work();
else submit();

function work() {
  const mail = readFileSync(MAIL_FILE, "latin1"); // its bytes, whatever they are
  const relay = nodemailer.createTransport({
    host: "127.0.0.1",
    port: Number(SMTP_PORT),
    ignoreTLS: true,
    pool: true,
    maxConnections: Number(AT_ONCE),
    maxMessages: Infinity,
  });
  const send = async (job) => {
    const name = `job${String(job.data.number).padStart(6, "0")}`;
    await relay.sendMail({
      envelope: { from: "jobs@example.com", to: [`${name}@example.com`] },
      raw: Buffer.from(mail.replaceAll("job000000", name), "latin1"),
    });
  };
  const worker = new Worker("mails", send, { connection, concurrency: Number(AT_ONCE) });
  worker.on("error", (error) => console.error(error.message));
}

async function submit() {
  const queue = new Queue("mails", { connection });
  queue.on("error", (error) => console.error(error.message));
  await queue.waitUntilReady();
  console.log("ready");
  for await (const line of createInterface({ input: process.stdin })) {
    const [first, count] = line.split(" ").map(Number);
    let next = first;
    const lane = async () => {
      while (next < first + count) await queue.add("send", { number: next++ });
    };
    await Promise.all(Array.from({ length: 20 }, lane));
    console.log("submitted");
  }
  process.exit();
}
