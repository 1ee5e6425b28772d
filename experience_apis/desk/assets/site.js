/* Makes pages handier: copy, filter, tabs, and the form that tries an operation. Every page reads without it. */
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const element = (name, text = "", attributes = {}) => {
    const made = document.createElement(name);
    made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };

  function addCopyButtons() {
    for (const place of all("[data-copy]")) {
      const german = document.documentElement.lang === "de";
      const copy = place.dataset.copy || (german ? "Kopieren" : "Copy");
      const copied = place.dataset.copied || (german ? "Kopiert" : "Copied");
      const button = element("button", copy, { type: "button", class: "button quiet small copy" });
      button.addEventListener("click", async () => {
        const source = place.querySelector("code") || place;
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = copied;
        setTimeout(() => { button.textContent = copy; }, 1600);
      });
      place.append(button);
    }
  }

  function makeTabs() {
    for (const group of all("[data-tabs]")) {
      const panels = all(":scope > [data-tab]", group);
      const list = element("div", "", { class: "tabs", role: "tablist", "aria-label": group.dataset.tabs });
      const buttons = panels.map((panel, at) => {
        panel.id = panel.id || `tab-${at}-${panel.dataset.tab}`;
        panel.setAttribute("role", "tabpanel");
        panel.querySelector("h3")?.remove();
        const button = element("button", panel.dataset.tab, { type: "button", role: "tab", id: `${panel.id}-label`, "aria-controls": panel.id });
        panel.setAttribute("aria-labelledby", button.id);
        button.addEventListener("click", () => show(at));
        button.addEventListener("keydown", (event) => {
          const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
          if (!step) return;
          event.preventDefault();
          const next = (at + step + panels.length) % panels.length;
          show(next);
          buttons[next].focus();
        });
        list.append(button);
        return button;
      });
      const show = (chosen) => panels.forEach((panel, at) => {
        panel.hidden = at !== chosen;
        buttons[at].setAttribute("aria-selected", String(at === chosen));
        buttons[at].tabIndex = at === chosen ? 0 : -1;
      });
      group.insertBefore(list, panels[0] || null);
      show(0);
    }
  }

  function filterWhileTyping() {
    const form = document.querySelector("[data-filter]");
    if (!form) return;
    const place = document.querySelector(form.dataset.filter);
    const told = document.querySelector("[role=status]#found");
    form.querySelector("input[type=search]").addEventListener("input", (event) => {
      const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      let found = 0;
      for (const card of all("[data-text]", place)) {
        const fits = words.every((word) => card.dataset.text.includes(word));
        card.closest("li").hidden = !fits;
        found += fits ? 1 : 0;
      }
      for (const group of all("[data-group]", place)) group.hidden = !group.querySelector("li:not([hidden])");
      told.textContent = found === 0 ? told.dataset.none : (found === 1 ? told.dataset.one : told.dataset.many).replace("{n}", found);
    });
    for (const select of all("select", form)) select.addEventListener("change", () => form.requestSubmit());
  }

  const base64url = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
  const encoded = (text) => encodeURIComponent(text).replace(/%20/g, "+");

  /* The token lives in this closure and nowhere else: no storage, no cookie. */
  function tokenDesk(form) {
    const says = form.dataset;
    const told = form.querySelector("[data-token-status]");
    let token = null;
    let until = 0;
    const keep = (answer) => {
      token = answer.access_token;
      until = Date.now() + answer.expires_in * 1000;
      told.textContent = says.saysGot.replace("{seconds}", answer.expires_in).replace("{scopes}", answer.scope || "–");
    };
    const ask = async (body, headers = {}) => {
      try {
        const answer = await fetch("/oauth/token", { method: "POST", credentials: "omit", headers, body: new URLSearchParams(body) });
        const read = await answer.json();
        if (answer.ok) return keep(read);
        told.textContent = says.saysRefused.replace("{reason}", read.error_description || read.detail || read.error || answer.status);
      } catch {
        told.textContent = says.saysUnreachable;
      }
      token = null;
    };
    form.querySelector("[data-get-token]")?.addEventListener("click", () => {
      const id = form.querySelector("[data-client-id]").value.trim();
      const secret = form.querySelector("[data-client-secret]").value;
      const basic = btoa(`${encoded(id)}:${encoded(secret)}`);
      return ask({ grant_type: "client_credentials" }, { Authorization: `Basic ${basic}` });
    });
    form.querySelector("[data-sign-in]")?.addEventListener("click", async () => {
      const [verifier, state] = [random(), random()];
      const challenge = base64url(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier)));
      const redirect = `${location.origin}/developer/callback`;
      const query = new URLSearchParams({ response_type: "code", client_id: "developer-portal", redirect_uri: redirect, state, code_challenge: challenge, code_challenge_method: "S256" });
      const window_ = window.open(`/oauth/authorize?${query}`, "sign-in", "popup,width=520,height=720");
      if (!window_) { told.textContent = says.saysBlocked; return; }
      const channel = new BroadcastChannel("developer-sign-in");
      channel.onmessage = async ({ data }) => {
        if (data.state !== state) return;
        channel.close();
        if (!data.code) { told.textContent = says.saysRefused.replace("{reason}", data.error || "–"); return; }
        await ask({ grant_type: "authorization_code", code: data.code, redirect_uri: redirect, client_id: "developer-portal", code_verifier: verifier });
      };
    });
    return () => {
      if (token && Date.now() > until) { token = null; told.textContent = says.saysExpired; }
      return token;
    };
  }

  function requestOf(form) {
    let path = form.dataset.path;
    const query = new URLSearchParams();
    const headers = {};
    for (const field of all("[data-in]", form)) {
      const { in: place, name } = field.dataset;
      if (place === "path") path = path.replace(`{${name}}`, encodeURIComponent(field.value));
      else if (field.value !== "" && place === "query") query.append(name, field.value);
      else if (field.value !== "" && place === "header") headers[name] = field.value;
    }
    const body = form.querySelector("[data-body]")?.value;
    if (body !== undefined) headers["Content-Type"] = form.dataset.content;
    const asked = query.toString();
    return { path: asked ? `${path}?${asked}` : path, headers, body: sent(form, body) };
  }

  function sent(form, body) {
    if (body === undefined || !form.dataset.content.includes("urlencoded")) return body;
    try { return new URLSearchParams(JSON.parse(body)).toString(); } catch { return body; }
  }

  const quoted = (text) => `'${text.replace(/'/g, "'\\''")}'`;
  function curlOf(form) {
    const { path, headers, body } = requestOf(form);
    const lines = [`curl -i${form.dataset.method === "GET" ? "" : ` -X ${form.dataset.method}`} ${quoted(form.dataset.base + path)}`];
    if (!form.dataset.public) lines.push('-H "Authorization: Bearer $TOKEN"');
    for (const [name, value] of Object.entries(headers)) lines.push(`-H ${quoted(`${name}: ${value}`)}`);
    if (body !== undefined) lines.push(`-d ${quoted(body)}`);
    return lines.join(" \\\n  ");
  }

  const pretty = (text) => { try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; } };

  async function send(form, token, result) {
    const { path, headers, body } = requestOf(form);
    if (token) headers.Authorization = `Bearer ${token}`;
    const status = result.querySelector("[data-status]");
    const table = result.querySelector("[data-headers]");
    const answer = result.querySelector("[data-answer]");
    result.hidden = false;
    status.textContent = form.dataset.saysSending;
    table.replaceChildren();
    answer.textContent = "";
    const began = performance.now();
    try {
      const told = await fetch(path, { method: form.dataset.method, headers, body, credentials: "omit", cache: "no-store" });
      const text = await told.text();
      status.textContent = `${told.status} ${told.statusText} · ${Math.round(performance.now() - began)} ms`;
      const first = (name) => (name.startsWith("ratelimit") ? 0 : 1);
      for (const [name, value] of [...told.headers].sort((a, b) => first(a[0]) - first(b[0]))) {
        const row = element("tr");
        row.append(element("th", name, { scope: "row", class: "mono" }), element("td", value, { class: "mono" }));
        table.append(row);
      }
      answer.textContent = pretty(text);
      result.scrollIntoView({ block: "start" });
    } catch {
      status.textContent = form.dataset.saysUnreachable;
    }
  }

  function makeTryForm() {
    const form = document.querySelector("form[data-try]");
    if (!form) return;
    const room = form.closest(".try");
    const curl = room.querySelector("[data-curl]");
    const result = room.querySelector("[data-result]");
    const token = form.querySelector("[data-token]") ? tokenDesk(form) : () => null;
    for (const key of all("[data-key]", form)) key.value = crypto.randomUUID();
    const show = () => { curl.textContent = curlOf(form); };
    form.addEventListener("input", show);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      await send(form, token(), result);
      for (const key of all("[data-key]", form)) key.value = crypto.randomUUID();
      show();
    });
    show();
  }

  function handBackTheSignIn() {
    if (!document.querySelector("[data-callback]")) return;
    const told = Object.fromEntries(new URLSearchParams(location.search));
    history.replaceState(null, "", location.pathname);
    const channel = new BroadcastChannel("developer-sign-in");
    channel.postMessage({ code: told.code, state: told.state, error: told.error });
    channel.close();
    setTimeout(() => window.close(), 150);
  }

  addCopyButtons();
  makeTabs();
  filterWhileTyping();
  makeTryForm();
  handBackTheSignIn();
})();
