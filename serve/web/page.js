// The chat page: conversations in localStorage, answers from v1/chat/completions as they come.
import { element, render } from "./markdown.js";

const $ = (id) => document.getElementById(id);
const settings = ["system", "temperature", "top_p", "max_tokens", "seed", "thinking", "colours", "key", "model"];
let conversations = read("conversations", []);
let current = null; // one of conversations, or a new one that is kept when something is said
let abort = null; // of the answer under way

function read(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem("haenyeo." + name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function write(name, value) {
  try {
    localStorage.setItem("haenyeo." + name, JSON.stringify(value));
  } catch {
    say("This browser has no more room for conversations: delete some.", true);
  }
}

function say(text, wrong) {
  $("status").textContent = text;
  $("status").className = wrong ? "wrong" : "";
}

function begin() {
  current = { title: "New conversation", turns: [] };
  show();
  $("say").focus();
}

// keep saves the conversations.
function keep() {
  if (!conversations.includes(current) && current.turns.length > 0) conversations.unshift(current);
  write("conversations", conversations);
  list();
}

function list() {
  $("list").replaceChildren(...conversations.map((c) => {
    const open = element("button", [c.title]);
    const remove = element("button", ["✕"]);
    remove.setAttribute("aria-label", "Delete " + c.title);
    open.addEventListener("click", () => {
      if (abort) return;
      current = c;
      toggleMenu(false);
      show();
    });
    remove.addEventListener("click", () => {
      if (abort || !confirm("Delete this conversation?")) return;
      conversations = conversations.filter((other) => other !== c);
      write("conversations", conversations);
      c === current ? begin() : list();
    });
    const item = element("li", [open, remove]);
    if (c === current) item.setAttribute("aria-current", "true");
    return item;
  }));
}

function show() {
  $("title").textContent = current.title;
  $("log").replaceChildren(...current.turns.map(draw));
  $("log").scrollTop = $("log").scrollHeight;
  say("");
  list();
}

// draw makes the element of a turn.
function draw(turn, index) {
  const words = element("div", []);
  words.className = "words";
  words.dir = "auto";
  const box = element("article", []);
  box.className = "turn " + turn.role;
  box.setAttribute("aria-label", turn.role === "user" ? "You" : "The model");
  if (turn.reasoning) box.append(fold(turn));
  if (turn.role === "user") words.textContent = turn.content;
  else render(words, turn.content);
  const about = element("div", []);
  about.className = "about";
  if (turn.note) about.append(turn.note);
  if (turn.wrong) about.append(Object.assign(element("span", [turn.wrong]), { className: "wrong" }));
  const act = (name, does) => {
    const b = element("button", [name]);
    b.type = "button";
    b.addEventListener("click", () => abort || does());
    about.append(b);
  };
  if (turn.role === "user") {
    act("Edit", () => {
      $("say").value = turn.content;
      current.turns.splice(index);
      show();
      grow();
      $("say").focus();
    });
  } else {
    act("Copy", () => navigator.clipboard.writeText(turn.content));
    act("Again", () => {
      current.turns.splice(index);
      show();
      answer();
    });
  }
  box.append(words, about);
  return box;
}

function fold(turn) {
  const d = element("details", [element("summary", ["Thinking"]), element("div", [turn.reasoning])]);
  return d;
}

function request() {
  const messages = current.turns.map((t) => ({ role: t.role, content: t.content }));
  if ($("system").value) messages.unshift({ role: "system", content: $("system").value });
  const body = { model: $("model").value, messages, stream: true, stream_options: { include_usage: true } };
  for (const name of ["temperature", "top_p", "max_tokens", "seed"]) if ($(name).value !== "") body[name] = Number($(name).value);
  if (!$("thinking").checked) body.thinking = { type: "disabled" };
  return body;
}

function headers() {
  return $("key").value ? { Authorization: "Bearer " + $("key").value } : {};
}

// answer lets the model answer the conversation.
async function answer() {
  const turn = { role: "assistant", content: "", reasoning: "" };
  const body = request();
  current.turns.push(turn);
  let box = draw(turn, current.turns.length - 1);
  $("log").append(box);
  abort = new AbortController();
  $("send").hidden = true;
  $("stop").hidden = false;
  say("Reading…");
  let due = false;
  const redraw = () => {
    due = false;
    const log = $("log");
    const below = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    const open = box.querySelector("details")?.open;
    const fresh = draw(turn, current.turns.indexOf(turn));
    if (open) fresh.querySelector("details").open = true;
    box.replaceWith(fresh);
    box = fresh;
    if (below) log.scrollTop = log.scrollHeight;
  };
  let first = 0, usage = null;
  try {
    const reply = await fetch("v1/chat/completions", {
      method: "POST", signal: abort.signal, headers: { "Content-Type": "application/json", ...headers() }, body: JSON.stringify(body),
    });
    if (!reply.ok) throw new Error((await reply.json()).error.message);
    for await (const chunk of events(reply.body)) {
      if (chunk.error) throw new Error(chunk.error.message);
      usage = chunk.usage ?? usage;
      const delta = chunk.choices[0]?.delta ?? {};
      if (delta.reasoning_content || delta.content) first ||= performance.now();
      if (delta.reasoning_content) say("Thinking…");
      if (delta.content) say("Writing…");
      turn.reasoning += delta.reasoning_content ?? "";
      turn.content += delta.content ?? "";
      if (chunk.choices[0]?.finish_reason === "length") turn.wrong = "cut: the limit of tokens was reached";
      if (!due) {
        due = true;
        requestAnimationFrame(redraw);
      }
    }
    if (usage) {
      const rate = (usage.completion_tokens - 1) / ((performance.now() - first) / 1000);
      turn.note = `${usage.completion_tokens} tokens` + (usage.completion_tokens > 1 && isFinite(rate) ? `, ${rate.toFixed(1)} a second` : "");
    }
    say("");
  } catch (e) {
    if (e.name === "AbortError") {
      turn.note = "stopped";
      say("");
    } else {
      turn.wrong = e.message;
      say(e.message, true);
    }
  }
  abort = null;
  $("send").hidden = false;
  $("stop").hidden = true;
  redraw();
  if (current.title === "New conversation") current.title = current.turns[0].content.slice(0, 60);
  $("title").textContent = current.title;
  keep();
  $("say").focus();
}

// events reads the objects of a stream of events up to [DONE].
async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("the server ended before the answer did");
    held += value;
    const parts = held.split("\n\n");
    held = parts.pop();
    for (const part of parts) {
      if (!part.startsWith("data: ")) continue; // a comment
      if (part === "data: [DONE]") return;
      yield JSON.parse(part.slice(6));
    }
  }
}

function grow() {
  $("say").style.height = "auto";
  $("say").style.height = $("say").scrollHeight + 2 + "px";
}

function submit() {
  const text = $("say").value.trim();
  if (!text || abort) return;
  current.turns.push({ role: "user", content: text });
  $("say").value = "";
  grow();
  $("log").append(draw(current.turns.at(-1), current.turns.length - 1));
  $("log").scrollTop = $("log").scrollHeight;
  keep();
  answer();
}

function toggleMenu(open) {
  $("side").classList.toggle("open", open);
  $("menu").setAttribute("aria-expanded", String(open));
}

function applySettings() {
  document.documentElement.dataset.colours = $("colours").value;
}

async function models() {
  try {
    const reply = await fetch("v1/models", { headers: headers() });
    const body = await reply.json();
    if (!reply.ok) throw new Error(body.error.message);
    const chosen = read("settings", {}).model;
    $("model").replaceChildren(...body.data.map((m) => Object.assign(element("option", [m.id]), { value: m.id })));
    if (body.data.some((m) => m.id === chosen)) $("model").value = chosen;
    say("");
  } catch (e) {
    say(e.message, true);
  }
}

const stored = read("settings", {});
for (const name of settings) {
  const field = $(name);
  if (name in stored) field.type === "checkbox" ? (field.checked = stored[name]) : (field.value = stored[name]);
  field.addEventListener("change", () => {
    write("settings", Object.fromEntries(settings.map((n) => [n, $(n).type === "checkbox" ? $(n).checked : $(n).value])));
    applySettings();
    if (name === "key") models();
  });
}
$("composer").addEventListener("submit", (e) => (e.preventDefault(), submit()));
$("say").addEventListener("input", grow);
$("say").addEventListener("keydown", (e) => {
  if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
    e.preventDefault();
    submit();
  }
});
$("stop").addEventListener("click", () => abort?.abort());
$("new").addEventListener("click", () => abort || (toggleMenu(false), begin()));
$("menu").addEventListener("click", () => toggleMenu(!$("side").classList.contains("open")));
$("settings").addEventListener("click", () => $("dialog").showModal());
document.addEventListener("keydown", (e) => {
  if (e.key === "Escape") {
    abort?.abort();
    toggleMenu(false);
  } else if (e.altKey && e.code === "KeyN" && !abort) {
    e.preventDefault();
    begin();
  } else if (e.altKey && e.code === "KeyS") {
    e.preventDefault();
    $("dialog").showModal();
  }
});
applySettings();
begin();
models();
