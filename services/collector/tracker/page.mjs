// A browser page small enough to read: just what at.js touches, with time under the test's control.
import { readFileSync } from 'node:fs';
import vm from 'node:vm';

const source = readFileSync(new URL('./at.js', import.meta.url), 'utf8');

export class Storage {
  constructor() { this.map = new Map(); }
  getItem(k) { return this.map.has(k) ? this.map.get(k) : null; }
  setItem(k, v) { this.map.set(k, String(v)); }
  removeItem(k) { this.map.delete(k); }
}

// page loads at.js on a page and returns what a test looks at. What lives longer than a page (jar, storage) can be given.
export function page({ url = 'https://shop.example/land', data = {}, referrer = '', gpc = false, jar = {}, storage = new Storage(),
  early, elements = [], answer = () => ({ status: 200, results: [] }), tcf, beacon = true, cookies = true, now = 1_772_000_000_000 } = {}) {
  const listeners = {};
  const on = target => (type, f) => { (listeners[target + type] ??= []).push(f); };
  const timers = new Map();
  let nextTimer = 1;
  const p = { sent: [], beacons: [], jar, storage, clock: now, observed: new Set() };

  const location = new URL(url);
  const document = {
    currentScript: { src: 'https://go.example/at.js', dataset: { key: 'atw_key', ...data } },
    baseURI: url, referrer, readyState: 'complete', hidden: false, documentElement: {},
    get visibilityState() { return this.hidden ? 'hidden' : 'visible'; },
    get cookie() { return Object.entries(jar).map(([k, v]) => `${k}=${v}`).join('; '); },
    set cookie(text) {
      if (!cookies) return;
      const [pair, ...attributes] = text.split(';');
      const [name, value] = pair.split('=');
      p.lastCookie = text;
      if (attributes.includes('max-age=0')) delete jar[name]; else jar[name] = value;
    },
    querySelectorAll: () => elements, addEventListener: on('d'),
  };
  const window = {
    document, location, localStorage: storage, crypto: globalThis.crypto, btoa, innerHeight: 800,
    navigator: {
      globalPrivacyControl: gpc,
      sendBeacon: beacon && ((to, blob) => { p.beacons.push({ to, blob }); return true; }),
    },
    history: { state: null, replaceState: (_s, _t, to) => { location.href = new URL(to, location.href).href; } },
    performance: { now: () => p.clock - now },
    setTimeout: (f, ms) => { timers.set(nextTimer, { f, at: p.clock + ms }); return nextTimer++; },
    clearTimeout: id => timers.delete(id),
    addEventListener: on('w'),
    fetch: (to, init) => {
      const request = { to, init, events: JSON.parse(init.body).events };
      p.sent.push(request);
      const a = answer(p.sent.length, request);
      if (a instanceof Error) return Promise.reject(a);
      return Promise.resolve({ status: a.status, json: async () => ({ results: a.results }) });
    },
    IntersectionObserver: class {
      constructor(callback) { p.intersect = entries => callback(entries); }
      observe(e) { p.observed.add(e); }
      unobserve(e) { p.observed.delete(e); }
    },
    MutationObserver: class {
      constructor(callback) { p.mutate = added => callback([{ addedNodes: added }]); }
      observe() {}
    },
    aftertouch: early, __tcfapi: tcf,
  };
  p.window = window;
  p.document = document;
  p.api = () => window.aftertouch;
  // wait lets time pass, timers fire and answers arrive.
  p.wait = async ms => {
    const until = p.clock + ms;
    for (;;) {
      await new Promise(setImmediate);
      const due = [...timers].filter(([, t]) => t.at <= until).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      timers.delete(due[0]);
      p.clock = Math.max(p.clock, due[1].at);
      due[1].f();
    }
    p.clock = until;
  };
  p.fire = (target, type, event = {}) => (listeners[target + type] ?? []).forEach(f => f(event));
  p.hide = () => { document.hidden = true; p.fire('d', 'visibilitychange'); };
  p.show = () => { document.hidden = false; p.fire('d', 'visibilitychange'); };
  p.events = () => p.sent.flatMap(r => r.events);
  p.of = kind => p.events().filter(e => kind in e);
  vm.runInNewContext(source, { window, document, URL, Blob, Date: class extends Date { static now() { return p.clock; } } });
  return p;
}

export function element(dataset, extra = {}) {
  return { dataset, matches: () => true, querySelectorAll: () => [], ...extra };
}
