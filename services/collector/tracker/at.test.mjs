import assert from 'node:assert/strict';
import { test } from 'node:test';
import { element, page, Storage } from './page.mjs';

const landed = { url: 'https://shop.example/land?x=%20a&at_click=TOKEN&y=2#top' };

test('a landing takes the token out of the address bar and sends it with the visit', async () => {
  const p = page(landed);
  assert.equal(p.window.location.href, 'https://shop.example/land?x=%20a&y=2#top');
  await p.wait(100);
  assert.equal(p.sent.length, 1);
  const { to, init, events: [visit] } = p.sent[0];
  assert.equal(to, 'https://go.example/v1/events?key=atw_key');
  assert.deepEqual([init.method, init.keepalive, init.credentials, init.headers['Content-Type']], ['POST', true, 'omit', 'text/plain']);
  assert.deepEqual(visit.visit, { session_start: true });
  assert.equal(visit.click_id, 'TOKEN');
  assert.match(visit.visitor_id, /^[\w-]{22}$/);
  assert.equal(visit.visitor_id, p.jar.at_vid);
  assert.match(visit.event_id, /^[\w-]{22}$/);
  assert.ok(visit.sent_time >= visit.event_time);
  assert.ok(!visit.page_url.includes('TOKEN'));
  assert.match(p.lastCookie, /;path=\/;max-age=34560000;samesite=lax;secure$/);
});

test('the session keeps the token for the conversion, and ends after half an hour', async () => {
  const { jar, storage } = await (async p => { await p.wait(100); return p; })(page(landed));
  const thanks = page({ url: 'https://shop.example/thanks', referrer: 'https://shop.example/cart', jar, storage, now: 1_772_000_600_000 });
  thanks.api().conversion({ action: 'purchase', order_id: '1001', value_minor: 4999, currency: 'EUR', properties: { plan: 'pro' } });
  await thanks.wait(100);
  const [visit] = thanks.of('visit'), [conversion] = thanks.of('conversion');
  assert.deepEqual(visit.visit, { session_start: false });
  assert.equal(conversion.click_id, 'TOKEN');
  assert.equal(conversion.visitor_id, visit.visitor_id);
  assert.deepEqual(conversion.conversion, { action: 'purchase', order_id: '1001', value_minor: 4999, currency: 'EUR' });
  assert.deepEqual(conversion.properties, { plan: 'pro' });
  const later = page({ jar, storage, referrer: 'https://shop.example/x', now: 1_772_000_600_000 + 31 * 60_000 });
  await later.wait(100);
  assert.deepEqual(later.of('visit')[0].visit, { session_start: true });
  assert.equal(later.of('visit')[0].click_id, undefined);
  assert.equal(later.of('visit')[0].visitor_id, visit.visitor_id);
});

for (const [name, options] of Object.entries({
  'the site says denied': { data: { consent: 'denied' } },
  'the browser says Global Privacy Control': { gpc: true, data: { consent: 'granted' } },
})) {
  test('nothing is kept and nobody is named when ' + name, async () => {
    const p = page({ ...landed, ...options });
    p.api().identify('customer-1');
    p.api().conversion({ action: 'purchase' });
    assert.equal(p.api().visitor(), '');
    await p.wait(100);
    assert.equal(p.events().length, 3);
    for (const e of p.events()) {
      assert.deepEqual([e.consent.state, e.visitor_id, e.user_key, e.click_id], ['denied', undefined, undefined, undefined]);
    }
    assert.deepEqual([p.jar, p.storage.map.size], [{}, 0]);
    assert.ok(!p.window.location.href.includes('TOKEN'));
  });
}

test('with consent required events wait for the answer', async () => {
  const p = page({ ...landed, data: { consent: 'required' } });
  await p.wait(5000);
  assert.deepEqual([p.sent.length, p.jar, p.storage.map.size], [0, {}, 0]);
  p.api().consent('granted');
  await p.wait(100);
  const [visit] = p.of('visit');
  assert.deepEqual([visit.consent.state, visit.click_id, visit.visitor_id], ['granted', 'TOKEN', p.jar.at_vid]);
});

test('an unanswered question is counted without a person when the page goes away', async () => {
  const p = page({ ...landed, data: { consent: 'required' } });
  p.fire('w', 'pagehide');
  assert.equal(p.beacons.length, 1);
  const { events: [visit] } = JSON.parse(await p.beacons[0].blob.text());
  assert.deepEqual([visit.visitor_id, visit.click_id, p.beacons[0].blob.type], [undefined, undefined, 'text/plain']);
});

test('a landing that was counted as denied is told again when consent is given', async () => {
  const p = page({ ...landed, data: { consent: 'denied' } });
  await p.wait(100);
  p.api().consent('granted');
  p.api().consent('granted');
  await p.wait(100);
  assert.deepEqual(p.of('visit').map(e => [e.consent.state, e.click_id]), [['denied', undefined], ['granted', 'TOKEN']]);
});

test('withdrawn consent forgets', async () => {
  const p = page(landed);
  await p.wait(100);
  p.api().consent('denied');
  assert.deepEqual([p.jar, p.storage.map.size], [{}, 0]);
  p.api().conversion({ action: 'purchase' });
  await p.wait(100);
  assert.equal(p.of('conversion')[0].visitor_id, undefined);
});

test('the IAB framework answers the question', async () => {
  for (const [purposes, state] of [[{ 1: true, 7: true }, 'granted'], [{ 1: true }, 'denied']]) {
    let answer;
    const p = page({ data: { tcf: '' }, tcf: (_c, _v, f) => { answer = f; } });
    await p.wait(1000);
    answer({ eventStatus: 'cmpuishown', purpose: { consents: {} } }, true);
    await p.wait(1000);
    assert.equal(p.sent.length, 0);
    answer({ eventStatus: 'useractioncomplete', tcString: 'TC', purpose: { consents: purposes } }, true);
    await p.wait(100);
    assert.deepEqual(p.of('visit')[0].consent, { state, tcf: 'TC' });
  }
});

test('an impression is viewable after a second of half the element', async () => {
  const post = element({ atPlacement: 'p-anna', atLink: 'l-anna' });
  const p = page({ elements: [post] });
  const show = (ratio, height = 100) => p.intersect([{ target: post, isIntersecting: ratio > 0, intersectionRatio: ratio, intersectionRect: { height } }]);
  show(0.49);
  await p.wait(2000);
  show(0.5);
  await p.wait(600);
  show(0.2);
  await p.wait(600);
  assert.equal(p.of('impression').length, 0);
  show(1);
  await p.wait(1100);
  const [i] = p.of('impression');
  assert.deepEqual([i.placement, i.link, i.impression.viewability, i.click_id], ['p-anna', 'l-anna', 'viewable', undefined]);
  assert.ok(i.impression.visible_ms >= 1600 && i.impression.visible_ms < 1800);
  show(0);
  show(1);
  await p.wait(2000);
  p.fire('w', 'pagehide');
  assert.equal(p.of('impression').length, 1);
  assert.equal(p.beacons.length, 0);
});

test('a hidden page shows nothing; what was not seen is said so when the page goes away', async () => {
  const post = element({ atPlacement: 'p1' }), tall = element({ atPlacement: 'p2' });
  const p = page({ elements: [post, tall] });
  p.intersect([{ target: post, isIntersecting: true, intersectionRatio: 1, intersectionRect: { height: 100 } }]);
  await p.wait(500);
  p.hide();
  await p.wait(60_000);
  assert.equal(p.of('impression').length, 0);
  p.fire('w', 'pagehide');
  const said = JSON.parse(await p.beacons.at(-1).blob.text()).events.map(e => [e.placement, e.impression?.viewability, e.impression?.visible_ms]);
  assert.deepEqual(said, [['p1', 'not_viewable', 500], ['p2', 'not_viewable', 0]]);
});

test('an element taller than the screen counts when it fills half of it; elements that come later are seen', async () => {
  const tall = element({ atPlacement: 'p2' });
  const p = page({});
  p.mutate([tall, { nodeType: 3 }]);
  assert.ok(p.observed.has(tall));
  p.intersect([{ target: tall, isIntersecting: true, intersectionRatio: 0.1, intersectionRect: { height: 400 } }]);
  await p.wait(1100);
  assert.equal(p.of('impression')[0].impression.viewability, 'viewable');
});

test('unavailable and lost events are sent again with their ids, also by the next page', async () => {
  const p = page({ answer: n => n === 1 ? { status: 503 } : n === 2 ? new TypeError('network') : n === 3 ? { status: 200, results: [{ status: 'unavailable' }] } : { status: 200, results: [{ status: 'ok' }] } });
  await p.wait(60_000);
  assert.equal(p.sent.length, 4);
  assert.equal(new Set(p.events().map(e => e.event_id)).size, 1);
  assert.ok(p.events()[3].sent_time > p.events()[0].sent_time);
  assert.equal(p.storage.getItem('at_q'), null);

  const lost = page({ answer: () => new TypeError('network') });
  await lost.wait(200);
  assert.equal(JSON.parse(lost.storage.getItem('at_q')).length, 1);
  const next = page({ storage: lost.storage, jar: lost.jar });
  await next.wait(100);
  assert.equal(next.events()[0].event_id, lost.events()[0].event_id);
  assert.equal(next.storage.getItem('at_q'), null);
});

test('refused events are not sent again, and the queue is bounded', async () => {
  const p = page({ answer: () => ({ status: 401 }) });
  await p.wait(600_000);
  assert.equal(p.sent.length, 1);
  const down = page({ answer: () => new TypeError('network') });
  for (let i = 0; i < 200; i++) down.api().engagement({ type: 'like' });
  await down.wait(500);
  assert.equal(JSON.parse(down.storage.getItem('at_q')).length, 50);
});

test('links through the redirect name the visitor for the moment of the click', async () => {
  const link = href => {
    const a = { attributes: { href }, getAttribute: n => a.attributes[n], setAttribute: (n, v) => { a.attributes[n] = v; } };
    Object.defineProperty(a, 'href', { get: () => new URL(a.attributes.href, 'https://go.example/').href, set: v => { a.attributes.href = v; } });
    return a;
  };
  const follow = (p, a) => { p.fire('d', 'click', { target: { closest: () => a } }); return a.attributes.href; };
  const p = page({});
  const a = link('https://go.example/c/anna?x=1');
  assert.equal(follow(p, a), `https://go.example/c/anna?x=1&at_vid=${p.jar.at_vid}`);
  await p.wait(1);
  assert.equal(a.attributes.href, 'https://go.example/c/anna?x=1');
  assert.equal(follow(p, link('https://elsewhere.example/c/anna')), 'https://elsewhere.example/c/anna');
  assert.equal(follow(page({ data: { consent: 'denied' } }), link('https://go.example/c/anna')), 'https://go.example/c/anna?at_consent=denied');
  assert.match(follow(page({ data: { consent: 'granted' } }), link('https://go.example/c/anna')), /\?at_vid=[\w-]{22}&at_consent=granted$/);
});

test('calls made before the script was there are kept', async () => {
  const p = page({ early: [['conversion', { action: 'signup' }], ['identify', 'customer-1']] });
  await p.wait(100);
  assert.deepEqual([p.of('conversion').length, p.of('identify')[0].user_key], [1, 'customer-1']);
});

test('blocked storage and cookies stop nothing', async () => {
  const blocked = new Storage();
  blocked.getItem = blocked.setItem = blocked.removeItem = () => { throw new Error('blocked'); };
  const p = page({ ...landed, storage: blocked, cookies: false });
  await p.wait(100);
  assert.equal(p.of('visit')[0].click_id, 'TOKEN');
  assert.match(p.of('visit')[0].visitor_id, /^[\w-]{22}$/);
  assert.equal(p.api().visitor(), p.of('visit')[0].visitor_id);
});

test('without beacons the last events go by fetch', async () => {
  const p = page({ beacon: false });
  p.hide();
  assert.equal(p.sent.length, 1);
});
