// Keeps pages fresh. Everything works without it, by reloading.
"use strict";

const list = document.querySelector("[data-rows]");
if (list) {
  const refresh = async () => {
    if (document.hidden || list.contains(document.activeElement)) return;
    const answer = await fetch(list.dataset.rows);
    if (answer.status === 401) location.reload();
    if (answer.ok) list.innerHTML = await answer.text();
  };
  setInterval(() => refresh().catch(() => {}), 2000);
}

const page = document.querySelector("[data-events]");
if (page) {
  const bar = document.getElementById("bar");
  const at = document.getElementById("at");
  const state = document.getElementById("state");
  const begun = state.dataset.run;
  const why = document.getElementById("why");
  const explain = async () => {
    if (document.hidden) return;
    const answer = await fetch(why.dataset.from);
    if (answer.ok) why.textContent = await answer.text();
  };
  const explaining = setInterval(() => explain().catch(() => {}), 10000);
  const show = (progress) => {
    if (progress.percent !== null) bar.value = progress.percent;
    const amount = progress.total ? ` ${progress.done} of ${progress.total} ${progress.unit}` : "";
    at.textContent = [progress.percent === null ? "" : `${Math.round(progress.percent)} %`, progress.step + amount, progress.message].filter(Boolean).join(" · ");
  };
  let reload = 0;
  addEventListener("beforeunload", () => clearTimeout(reload)); // it would undo a click on a link
  const source = new EventSource(page.dataset.events);
  source.addEventListener("progress", (event) => show(JSON.parse(event.data)));
  source.addEventListener("state", (event) => {
    const job = JSON.parse(event.data);
    show(job.progress);
    const changed = state.textContent !== job.state || job.run_id !== begun;
    state.textContent = job.state;
    state.className = `state ${job.state}`;
    // The server makes the rest of the page: buttons, steps, error, result.
    if (changed) reload = setTimeout(() => location.reload(), 300);
  });
  source.addEventListener("end", () => {
    source.close();
    clearInterval(explaining);
  });
}
