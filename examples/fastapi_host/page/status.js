// What the page shows comes from /health; whoever has an API key types it once for each tab.
"use strict";

const KEY = "hubspot-accounts-key";
const REFRESH = 5000; // milliseconds
const REMEDIES = {
  needs_reconnect: "Somebody who may connect this account has to do so again.",
  stalled: "No worker sees to it at present.",
  late: "Its syncs do not complete; they are tried again.",
  many_rejected: "Most of what it brings is refused; see the reasons below.",
  parked: "Some refused actions are not tried again by themselves.",
  deletions_suspected: "More objects seem to be gone at HubSpot than is believed without a word.",
};
const cards = new Map();
const followed = new Set();
const $ = (id) => document.getElementById(id);
const words = (name) => ({ never: "not loaded yet", not_tracked: "not synced" })[name] ?? name.replaceAll("_", " ");
const counted = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

function say(text, bad = false) {
  $("said").textContent = text;
  $("said").className = bad ? "bad" : "";
}

function enter(signedIn) {
  $("enter").hidden = signedIn;
  $("seen").hidden = $("leave").hidden = !signedIn;
  if (!signedIn) $("key").focus();
}

function leave() {
  sessionStorage.removeItem(KEY);
  cards.clear();
  $("accounts").replaceChildren();
  enter(false);
}

async function ask(path, body) {
  const headers = { "X-API-Key": sessionStorage.getItem(KEY), "Content-Type": "application/json" };
  const options = body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The host does not answer; the page tries again.");
  }
  if (answer.ok) return answer;
  if (answer.status === 401) leave();
  throw new Error((await answer.json()).detail);
}

// Runs what a button does; what goes wrong is said on the page.
function attempt(action) {
  return async (event) => {
    event?.preventDefault();
    try {
      await action();
    } catch (error) {
      say(error.message, true);
    }
  };
}

function since(seconds) {
  if (seconds === null) return "not yet";
  const [size, unit] = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]]
    .find(([size]) => seconds >= size) ?? [1, "second"];
  return new Intl.RelativeTimeFormat("en").format(-Math.floor(seconds / size), unit);
}

function cardOf(account) {
  const known = cards.get(account.account_id);
  if (known) return known;
  const card = $("account").content.firstElementChild.cloneNode(true);
  const id = account.account_id;
  const path = `/accounts/${id}`;
  card.dataset.account = id;
  card.querySelector(".sync").onclick = attempt(async () => {
    if (followed.has(id)) return;
    await ask(`${path}/sync`, {});
    await Promise.all([follow(id), refresh()]);
  });
  card.querySelector(".reconnect").onclick = attempt(() => connect(id));
  card.querySelector(".again").onclick = attempt(async () => {
    const report = await (await ask(`${path}/errors/redrive`, {})).json();
    const sum = (name) => Object.values(report.streams).reduce((all, one) => all + one[name], 0);
    const [tried, delivered] = [sum("tried"), sum("delivered")];
    say(`${counted(tried, "refused action was", "refused actions were")} tried again, ${delivered} went well.`);
    await Promise.all([refresh(), showRefused(card, path)]);
  });
  card.querySelector(".refused").ontoggle = attempt(() => showRefused(card, path));
  cards.set(id, card);
  $("accounts").append(card);
  return card;
}

async function showRefused(card, path) {
  if (!card.querySelector(".refused").open) return;
  const refused = await (await ask(`${path}/errors?limit=50`)).json();
  card.querySelector(".refused ul").replaceChildren(...refused.map((one) => {
    const item = document.createElement("li");
    const when = one.parked ? "not tried again by itself" : "is tried again by itself";
    item.textContent = `${one.action}, object ${one.object_id}: ${one.reason} (${when})`;
    return item;
  }));
}

function show(account) {
  const card = cardOf(account);
  const streams = Object.entries(account.streams);
  card.className = { true: "good", false: "bad" }[account.ok] ?? "";
  card.querySelector("h2").textContent = account.name
    ? `${account.name} (${account.account_id})` : account.account_id;
  card.querySelector(".state strong").textContent = words(account.status);
  card.querySelector(".remedy").textContent =
    account.conditions.map((one) => REMEDIES[one] ?? words(one)).join(" ");
  card.querySelector(".reconnect").hidden = account.status !== "needs_reconnect";
  card.querySelector("tbody").replaceChildren(...streams.map(([name, stream]) => {
    const row = document.createElement("tr");
    const refused = stream.waiting + stream.parked;
    const cells = [name, words(stream.status), since(stream.seconds_behind), refused ? `${refused} refused` : "none refused"];
    row.append(...cells.map((text, place) => {
      const cell = document.createElement(place ? "td" : "th");
      if (!place) cell.scope = "row";
      cell.textContent = text;
      return cell;
    }));
    return row;
  }));
  const refused = streams.reduce((sum, [, one]) => sum + one.waiting + one.parked, 0);
  card.querySelector(".refused").hidden = !refused;
  card.querySelector("summary").textContent = counted(refused, "refused action", "refused actions");
  if (account.syncing) attempt(() => follow(account.account_id))();
}

// Reads the Server-Sent Events of a sync to its end; EventSource could not send the key.
async function follow(id) {
  if (followed.has(id)) return;
  followed.add(id);
  const card = cards.get(id);
  // Not `disabled`, which would take the keyboard's focus away.
  card.querySelector(".sync").ariaDisabled = "true";
  try {
    const answer = await ask(`/accounts/${id}/sync/events`);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const events = (text + part.value).split(/\r?\n\r?\n/);
      text = events.pop();
      for (const event of events) {
        const data = event.split(/\r?\n/).find((line) => line.startsWith("data:"));
        if (data) showProgress(card, JSON.parse(data.slice(5)));
      }
    }
  } finally {
    followed.delete(id);
    card.querySelector(".sync").ariaDisabled = "false";
  }
  await refresh();
}

function showProgress(card, progress) {
  const streams = Object.entries(progress.streams)
    .map(([name, one]) => `${name}: ${counted(one.counts.read, "record", "records")}`);
  const how = progress.state === "ended"
    ? progress.problem?.detail ?? (progress.report?.completed ? "Sync completed" : "Sync not completed")
    : { waiting: "Waiting for its turn", running: "Syncing" }[progress.state];
  card.querySelector(".progress").textContent = [how, ...streams, progress.state === "ended" ? null : progress.note]
    .filter(Boolean).join(" · ");
}

async function connect(account_id) {
  const link = await (await ask("/accounts/connect", account_id ? { account_id } : {})).json();
  location.assign(link.url);
}

async function refresh() {
  if (!sessionStorage.getItem(KEY)) return;
  const health = await (await ask("/health")).json();
  enter(true);
  const counts = Object.entries(health.counts).filter(([, count]) => count);
  $("summary").textContent = counts.length
    ? counts.map(([name, count]) => `${counted(count, "account", "accounts")} ${words(name)}`).join(", ")
    : "No account is connected yet.";
  const there = new Set(health.accounts.map((one) => one.account_id));
  for (const [id, card] of cards) if (!there.has(id)) { card.remove(); cards.delete(id); }
  health.accounts.forEach(show);
  if ($("said").className === "bad") say("");
}

$("enter").onsubmit = attempt(async () => {
  sessionStorage.setItem(KEY, $("key").value);
  $("key").value = "";
  await refresh();
  $("connect").focus();
});
$("leave").onclick = () => { leave(); say(""); };
$("connect").onclick = attempt(() => connect());
enter(Boolean(sessionStorage.getItem(KEY)));
attempt(refresh)();
setInterval(attempt(refresh), REFRESH);
