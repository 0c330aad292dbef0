// Aftertouch's browser script. Use:
//   <script async src="https://go.example/at.js" data-key="atw_..."></script>
// See docs/collecting.md. Whole-line comments and indentation are taken out when it is served.
(function (w, d) {
  'use strict';
  var script = d.currentScript || d.querySelector('script[data-key][src*="at.js"]');
  if (!script || (w.aftertouch && w.aftertouch.v)) return;
  var options = script.dataset;
  var endpoint = (options.endpoint || new URL(script.src, d.baseURI).origin).replace(/\/$/, '');
  var nav = w.navigator;
  var SESSION = 30 * 60e3, MAX_AGE = 864e5, MAX_QUEUE = 50, MAX_BODY = 6e4;

  // --- Consent. Without it nothing is kept on the device and nothing that is sent tells who it was.
  var state = /^(granted|denied)$/.test(options.consent) ? options.consent : 'unspecified';
  var tcf = '';
  var required = options.consent === 'required';
  if (nav.globalPrivacyControl) state = 'denied';
  function allowed() { return state === 'granted' || (state === 'unspecified' && !required); }

  // --- What is kept: the cookie at_vid, and the session and unsent events in localStorage.
  function load(name) {
    try { return JSON.parse(w.localStorage.getItem(name)); } catch (e) { return null; }
  }
  function store(name, value) {
    try {
      if (value == null) w.localStorage.removeItem(name);
      else w.localStorage.setItem(name, JSON.stringify(value));
    } catch (e) { /* storage is blocked or full: this page works from memory */ }
  }
  function random() {
    var bytes = w.crypto.getRandomValues(new Uint8Array(16));
    return w.btoa(String.fromCharCode.apply(null, bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
  }
  function cookie(value, age) {
    d.cookie = 'at_vid=' + value + ';path=/;max-age=' + age + ';samesite=lax' +
      (options.domain ? ';domain=' + options.domain : '') + (w.location.protocol === 'https:' ? ';secure' : '');
  }
  var vid = '';
  function visitor() {
    if (!allowed()) return '';
    var found = /(?:^|; )at_vid=([\w-]{8,128})/.exec(d.cookie);
    vid = found ? found[1] : vid || random();
    // Each visit prolongs the cookie, by at most what browsers allow.
    cookie(vid, 34560000);
    return vid;
  }
  function forget() {
    vid = userKey = '';
    cookie('', 0);
    store('at_s');
    store('at_q');
  }

  // --- The click token: taken out of the address bar at once, so that copying the address copies no click.
  var token = '', fresh = false;
  (function () {
    var url = new URL(w.location.href);
    token = url.searchParams.get('at_click') || '';
    if (!token) return;
    fresh = true;
    // By hand, because URLSearchParams would spell the other parameters anew.
    var rest = url.search.slice(1).split('&').filter(function (p) { return p.split('=')[0] !== 'at_click'; }).join('&');
    w.history.replaceState(w.history.state, '', url.pathname + (rest ? '?' + rest : '') + url.hash);
  })();

  // session prolongs the session and reports whether it begins. It keeps the token until it is over.
  function session() {
    var now = Date.now(), known = allowed() && load('at_s');
    var start = known ? now - known.t > SESSION || fresh : fresh || d.referrer.indexOf(w.location.origin + '/') !== 0;
    if (known && !start && !token) token = known.c || '';
    if (allowed()) store('at_s', { t: now, c: token });
    fresh = false;
    return start;
  }

  // --- Sending. An event keeps its id however often it is sent, so it counts once.
  var queue = [], waiting = [], timer = 0, pause = 1e3, userKey = '';
  // While nobody has answered the question for consent, events wait: the answer decides whose they are.
  var decided = !required || state !== 'unspecified';
  function add(kind, body, event) {
    event = event || {};
    event.event_id = event.event_id || random();
    event.event_time = event.event_time || Date.now();
    event.page_url = event.page_url || w.location.href;
    if (d.referrer) event.referrer = d.referrer;
    event[kind] = body;
    waiting.push(event);
    if (decided) settle();
    return event.event_id;
  }
  function settle() {
    waiting.forEach(function (event) {
      if (event.visit && !('session_start' in event.visit)) event.visit.session_start = session();
      if (state !== 'unspecified' || tcf) event.consent = { state: state, tcf: tcf };
      if (allowed()) {
        event.visitor_id = visitor();
        if (userKey && (event.conversion || event.identify)) event.user_key = userKey;
        // Impressions and engagements are of what is on the page, not of the click that led to it.
        if (token && (event.visit || event.conversion)) event.click_id = token;
      }
      queue.push(event);
    });
    waiting = [];
    schedule(50);
  }
  function schedule(ms) { if (!timer) timer = w.setTimeout(flush, ms); }

  // take removes a batch that a beacon may carry.
  function take() {
    var batch = [], size = 0;
    while (queue.length && batch.length < MAX_QUEUE) {
      size += JSON.stringify(queue[0]).length;
      if (batch.length && size > MAX_BODY) break;
      batch.push(queue.shift());
    }
    return batch;
  }
  function body(batch) {
    var now = Date.now();
    batch.forEach(function (e) { e.sent_time = now; });
    return JSON.stringify({ events: batch });
  }
  function retry(batch) {
    var now = Date.now();
    queue = batch.filter(function (e) { return !(now - e.event_time > MAX_AGE); }).concat(queue).slice(-MAX_QUEUE);
    keep();
    pause = Math.min(pause * 2, 6e4);
    schedule(pause);
  }
  function keep() { if (allowed()) store('at_q', queue.length ? queue : null); }

  function flush(leaving) {
    w.clearTimeout(timer);
    timer = 0;
    var url = endpoint + '/v1/events?key=' + encodeURIComponent(options.key);
    while (queue.length) {
      var batch = take(), text = body(batch);
      if (leaving === true && nav.sendBeacon && nav.sendBeacon(url, new Blob([text], { type: 'text/plain' }))) continue;
      post(url, text, batch);
    }
    keep();
  }
  function post(url, text, batch) {
    w.fetch(url, { method: 'POST', body: text, keepalive: text.length < MAX_BODY, credentials: 'omit', headers: { 'Content-Type': 'text/plain' } })
      .then(function (res) {
        // What is refused stays refused; what is unavailable is worth another try.
        if (res.status === 429 || res.status >= 500) throw res;
        return res.json().then(function (answer) {
          var left = batch.filter(function (e, i) { return ((answer.results || [])[i] || {}).status === 'unavailable'; });
          if (left.length) retry(left); else pause = 1e3;
        }, function () {});
      })
      .catch(function () { retry(batch); });
  }

  // --- Impressions: half of the element, or half of the screen full of it, for a second.
  var seen = new Map(), observer;
  function measure(element) {
    if (seen.has(element)) return;
    var item = { since: -1, total: 0, sent: false, timer: 0 };
    seen.set(element, item);
    if (observer) observer.observe(element);
    else impression(element, item, 'unmeasured');
  }
  function impression(element, item, viewability) {
    if (item.sent) return;
    item.sent = true;
    if (observer) observer.unobserve(element);
    var event = {}, data = element.dataset;
    if (data.atPlacement) event.placement = data.atPlacement;
    if (data.atLink) event.link = data.atLink;
    add('impression', { viewability: viewability, visible_ms: Math.round(item.total + (item.since < 0 ? 0 : w.performance.now() - item.since)) }, event);
  }
  function show(element, item, visible) {
    if (item.sent || visible === (item.since >= 0)) return;
    if (visible) {
      item.since = w.performance.now();
      item.timer = w.setTimeout(function () { impression(element, item, 'viewable'); }, 1000);
    } else {
      w.clearTimeout(item.timer);
      item.total += w.performance.now() - item.since;
      item.since = -1;
    }
  }
  function scan(root) {
    if (!root.querySelectorAll) return;
    var wanted = '[data-at-placement],[data-at-link]';
    if (root.matches && root.matches(wanted)) measure(root);
    root.querySelectorAll(wanted).forEach(measure);
  }
  function watch() {
    if (w.IntersectionObserver) {
      var steps = [];
      for (var i = 0; i <= 20; i++) steps.push(i / 20);
      observer = new w.IntersectionObserver(function (entries) {
        entries.forEach(function (e) {
          var item = seen.get(e.target);
          item.visible = e.isIntersecting && (e.intersectionRatio >= 0.5 || e.intersectionRect.height >= w.innerHeight / 2);
          show(e.target, item, item.visible && !d.hidden);
        });
      }, { threshold: steps });
    }
    scan(d);
    if (w.MutationObserver) {
      new w.MutationObserver(function (changes) {
        changes.forEach(function (c) { c.addedNodes.forEach(scan); });
      }).observe(d.documentElement, { childList: true, subtree: true });
    }
  }

  // --- Links through the redirect learn the visitor for the moment of the click (not for copies of the link).
  function decorate(e) {
    var a = e.target && e.target.closest && e.target.closest('a[href]');
    if (!a || a.href.indexOf(endpoint + '/c/') !== 0) return;
    var plain = a.getAttribute('href'), url = new URL(a.href);
    if (allowed()) url.searchParams.set('at_vid', visitor());
    if (state !== 'unspecified') url.searchParams.set('at_consent', state);
    a.href = url.href;
    w.setTimeout(function () { a.setAttribute('href', plain); }, 0);
  }

  // --- The page is hidden or goes away: what waits is sent now, and what was never seen is said so.
  function hide() {
    seen.forEach(function (item, element) { show(element, item, !d.hidden && !!item.visible); });
    if (d.hidden) flush(true);
  }
  function leave() {
    seen.forEach(function (item, element) { impression(element, item, 'not_viewable'); });
    settle();
    flush(true);
  }

  // --- Calls of the page. Fields of the event beside those of its kind: event_id, link, placement, properties.
  function call(kind, fields) {
    var event = {}, own = {};
    for (var name in fields || {}) {
      (/^(event_id|event_time|link|placement|properties|share_parent)$/.test(name) ? event : own)[name] = fields[name];
    }
    return add(kind, own, event);
  }
  function visit() { return add('visit', {}); }
  var named = allowed();
  function consent(next) {
    if (next !== 'granted' && next !== 'denied') return;
    state = nav.globalPrivacyControl ? 'denied' : next;
    if (!allowed()) forget();
    // A landing that was counted before its visitor agreed is told again, or its click would be nobody's.
    if (decided && allowed() && !named && token) visit();
    decided = true;
    named = allowed();
    settle();
  }
  var api = {
    v: 1,
    consent: consent,
    visitor: visitor,
    visit: visit,
    impression: function (fields) { return call('impression', fields); },
    engagement: function (fields) { return call('engagement', fields); },
    conversion: function (fields) { return call('conversion', fields); },
    identify: function (key) { userKey = String(key); return add('identify', {}); },
    flush: flush,
    push: function (args) { return api[args[0]].apply(api, [].slice.call(args, 1)); }
  };
  var early = w.aftertouch;
  w.aftertouch = api;

  // Consent tools of the IAB framework, where the page asks for them with data-tcf.
  if ('tcf' in options && w.__tcfapi) {
    required = true;
    decided = named = state !== 'unspecified';
    w.__tcfapi('addEventListener', 2, function (tc, ok) {
      if (!ok || tc.eventStatus === 'cmpuishown') return;
      if (tc.gdprApplies === false) {
        required = false;
        decided = named = true;
        return settle();
      }
      var yes = tc.purpose.consents, interest = tc.purpose.legitimateInterests || {};
      tcf = tc.tcString || '';
      consent(yes[1] && (yes[7] || interest[7]) ? 'granted' : 'denied');
    });
  }

  if (nav.globalPrivacyControl) forget();
  if (allowed()) queue = load('at_q') || [];
  visit();
  if (Array.isArray(early)) early.forEach(api.push);
  d.addEventListener('click', decorate, true);
  d.addEventListener('auxclick', decorate, true);
  d.addEventListener('visibilitychange', hide);
  w.addEventListener('pagehide', leave);
  if (d.readyState === 'loading') d.addEventListener('DOMContentLoaded', watch); else watch();
})(window, document);
