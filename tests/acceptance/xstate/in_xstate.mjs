// Tells the stories of the cases to XState itself, and prints the microsteps of each machine.
//
// The functions are those of the Python modules beside this file. Time is XState's own simulated clock, and work ends as
// soon as it has begun, as in a rehearsal.

import { readFileSync } from 'node:fs';
import { SimulatedClock, assign, cancel, createActor, createMachine, fromPromise, sendParent, sendTo } from 'xstate';

const set = change => assign(({ context, event }, params) => change(context, event, params));
const work = run => fromPromise(async ({ input }) => run(input));
const done = work(() => null);
const failing = message => { throw new Error(message); };

// what each case names in its JSON; `data` are the defaults of its data, and `input` what its work receives
const CASES = {
  visitors: () => ({
    data: { inside: 0 },
    actions: { count_in: set(c => ({ inside: c.inside + 1 })), count_out: set(c => ({ inside: c.inside - 1 })) },
  }),
  glass: () => ({
    data: { level: 0, most: 1 },
    guards: { has_room: ({ context }) => context.level < context.most },
    actions: { pour: set(c => ({ level: c.level + 1 })) },
  }),
  door: () => ({
    data: { entries: 0, exits: 0, looks: 0 },
    actions: {
      count_entry: set(c => ({ entries: c.entries + 1 })),
      count_exit: set(c => ({ exits: c.exits + 1 })),
      count_look: set(c => ({ looks: c.looks + 1 })),
    },
  }),
  auction: () => ({
    data: { lasts_ms: 0, bids: [] },
    actions: { keep_bid: set((c, e) => ({ bids: [...c.bids, e.payload] })) },
    delays: { closing: ({ context }) => context.lasts_ms },
  }),
  stopwatch: () => ({
    data: { seconds: 0, tick_ms: 10 },
    guards: { is_over: ({ context }) => context.seconds === 3 },
    actions: { tick: set(c => ({ seconds: c.seconds + 1 })), clear: set(() => ({ seconds: 0 })) },
    delays: { second: ({ context }) => context.tick_ms },
  }),
  weather: () => ({
    data: { wind: null, rain: null },
    guards: { is_complete: ({ context }) => context.wind !== null && context.rain !== null },
    actions: {
      forget: set(() => ({ wind: null, rain: null })),
      keep: set((_, e) => ({ wind: e.payload.wind ?? null, rain: e.payload.rain ?? null })),
    },
    actors: { report: done },
    delays: { window: 20, patience: 60 },
  }),
  admission: () => ({
    data: { name: '' },
    guards: { is_at_least: ({ event }, { age }) => event.payload.age >= age },
    actions: { keep_name: set((_, e) => ({ name: e.payload.name })) },
    actors: { write_to: done },
  }),
  breakfast: () => ({ data: {}, actors: { brew: done, toast: done } }),
  checkup: () => ({
    data: { tyres: 0, oil: 0, coolant: 0, battery: 0 },
    guards: { is_complete: ({ context: c }) => Boolean(c.tyres && c.oil && c.coolant && c.battery) },
    actions: { keep: set((_, e) => e.output) },
    actors: {
      measure_tyres: work(() => ({ tyres: 22 })),
      measure_oil: work(() => ({ oil: 4 })),
      measure_coolant: work(() => ({ coolant: 9 })),
      measure_battery: work(() => ({ battery: 12 })),
    },
  }),
  supplies: () => ({
    data: { item: '', amount: 0 },
    guards: { lacks: ({ event }, { what }) => event.error.message === `the ${what} is missing` },
    actors: {
      order: work(({ item, amount }) => {
        if (!item || !amount) failing(`the ${item ? 'amount' : 'item'} is missing`);
        if (item === 'unicorn') failing('nobody sells unicorns');
      }),
    },
  }),
  clinic: () => ({
    data: { pet: '', dates: [] },
    actions: {
      keep_pet: set((_, e) => ({ pet: e.payload })),
      keep_date: set((c, e) => ({ dates: [...c.dates, e.output] })),
    },
    actors: { book: work(({ pet }) => `${pet} on Monday`) },
  }),
  credit: () => ({
    data: { name: '', decision: '' },
    guards: { is_approved: ({ context }) => context.decision === 'approved' },
    actions: {
      keep_name: set((_, e) => ({ name: e.payload })),
      keep_decision: set((_, e) => ({ decision: e.output })),
    },
    actors: {
      check: work(({ name }) => (name === 'tom' ? 'denied' : 'approved')),
      ponder: work(() => new Promise(() => {})),
      write_to: done,
    },
    delays: { patience: 60 },
  }),
  letter: () => ({
    data: { to: '', reason: '' },
    actions: { keep_reason: set((_, e) => ({ reason: e.error.message })) },
    actors: { send_letter: work(({ to }) => (to.startsWith('nobody') ? failing('there is no such address') : null)) },
  }),
  library: () => ({
    data: { title: '', status: '', asked: 0 },
    guards: { is: ({ context }, { status }) => context.status === status },
    actions: {
      keep_title: set((_, e) => ({ title: e.payload })),
      keep_status: set((c, e) => ({ status: e.output, asked: c.asked + 1 })),
    },
    actors: {
      look_up: work(({ title, asked }) => ({ dune: 'available', emma: asked ? 'available' : 'on_loan' })[title] ?? 'unknown'),
      tell: done,
      check_out: done,
    },
    delays: { two_weeks: 20 },
  }),
  onboarding: machines => ({
    data: { answers: [] },
    actions: { keep: set((c, e) => ({ answers: [...c.answers, e.output] })) },
    actors: {
      interview: made(
        { ...machines.interview, output: ({ context }) => context.answers[0] },
        {
          data: { answers: [] },
          actions: { keep: set((c, e) => ({ answers: [...c.answers, e.output] })) },
          actors: { ask: work(({ question }) => ({ name: 'ada', coffee: 'black' })[question]) },
        },
      ),
    },
  }),
  alarm: machines => ({
    data: {},
    actions: {
      ring_later: sendTo('bell', { type: 'ring' }, { id: 'ringing', delay: ({ event }) => event.payload }),
      cancel_ring: cancel('ringing'),
    },
    actors: { bell: made(machines.bell, { data: {}, actors: { ring: done } }) },
    delays: { quiet: 60 },
  }),
  confirmation: machines => ({
    data: { answer: '' },
    actions: {
      forward: sendTo('cashier', ({ event }) => ({ type: 'pay', payload: event.payload })),
      keep: set((_, e) => ({ answer: e.payload })),
    },
    actors: {
      cashier: made(machines.cashier, {
        data: { cents: 0, funds: false },
        guards: { has_funds: ({ context }) => context.funds },
        actions: {
          keep: set((_, e) => ({ cents: e.payload })),
          keep_funds: set((_, e) => ({ funds: e.output })),
          answer_parent: sendParent(({ context }) => ({ type: 'answer', payload: context.funds ? 'yes' : 'no' })),
        },
        actors: { check: work(({ cents }) => cents < 1000), write_yes: done, write_no: done },
      }),
    },
  }),
  errand: () => ({ data: {} }),
  locker: () => ({ data: { owner: '' } }),
  player: () => ({ data: {} }),
};

// work receives the data, unless the JSON gives it a constant input
function receiving(config) {
  const invokes = said => [said ?? []].flat().map(one => ({ input: ({ context }) => context, ...one }));
  const states = Object.entries(config.states ?? {}).map(([key, state]) => [key, receiving(state)]);
  const own = config.invoke ? { invoke: invokes(config.invoke) } : {};
  return { ...config, ...own, ...(config.states ? { states: Object.fromEntries(states) } : {}) };
}

function made(config, { data, ...implementations }, given = {}) {
  return createMachine({ ...receiving(config), context: { ...data, ...given } }).provide(implementations);
}

// ── microsteps ──

const lastKey = id => id.split('.').at(-1);

function nameOf(type) {
  if (type === '') return '.';
  const [, kind, about, rest] = /^xstate\.(\w+)\.([^.]+)\.?(.*)$/.exec(type) ?? [];
  if (kind === undefined) return type;
  if (kind === 'after') return `after_${about}_${lastKey(rest)}`;
  if (about === 'state') return `done.state.${lastKey(rest)}`;
  return `${kind}.invoke.${lastKey(rest)}`;
}

const isIn = (node, source) => node === source || (node.parent !== undefined && isIn(node.parent, source));

// the states that a machine begins in; XState does not report that microstep
function initial(node) {
  if (node.type === 'compound') return node.initial.target.flatMap(target => [target, ...initial(target)]);
  return node.type === 'parallel' ? Object.values(node.states).flatMap(region => [region, ...initial(region)]) : [];
}

function follow(machine, trace) {
  const keys = nodes => nodes.map(node => node.key).sort();
  let before = initial(machine.root);
  trace.push(['.', [], keys(before)]);
  return inspected => {
    if (inspected.type !== '@xstate.microstep' || inspected.actorRef.id !== 'told') return;
    const [first] = inspected._transitions;
    if (first === undefined) return;
    const after = inspected.snapshot._nodes.filter(node => node.parent);
    const again = inspected._transitions.filter(one => one.reenter && one.target).map(one => one.source);
    const renewed = node => again.some(source => isIn(node, source));
    const left = before.filter(node => !after.includes(node) || renewed(node));
    const entered = after.filter(node => !before.includes(node) || renewed(node));
    trace.push([nameOf(first.eventType === '' ? '' : inspected.event.type), keys(left), keys(entered)]);
    before = after;
  };
}

// ── stories ──

const settle = async () => { for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate); };

function meets(snapshot, { state, tag, status }) {
  if (state !== undefined) return snapshot._nodes.some(node => node.key === state);
  if (tag !== undefined) return snapshot.hasTag(tag);
  return snapshot.status === ({ running: 'active', failed: 'error' }[status] ?? status);
}

async function tell({ name, machine, machines, requests }) {
  const clock = new SimulatedClock(), trace = [];
  let actor;
  const begin = given => {
    const logic = made(machine, CASES[name](machines), given ?? {});
    actor = createActor(logic, { id: 'told', clock, inspect: follow(logic, trace) });
    actor.subscribe({ error: () => {} });
    actor.start();
  };
  for (const [handler, body, status = 200] of requests) {
    if (status !== 200 && status !== 412) continue;
    if (handler === 'create' && actor === undefined) begin(body);
    if (handler === 'create' || handler === 'snapshot') continue;
    if (actor === undefined) begin();
    const event = handler === 'wait_for' ? body.event : handler;
    if (event !== undefined) actor.send({ type: event, payload: handler === 'wait_for' ? body.payload : body });
    await settle();
    if (handler !== 'wait_for') continue;
    for (let tries = 0; tries < 1000 && !meets(actor.getSnapshot(), body); tries += 1) {
      if (actor.getSnapshot().status !== 'active') break;
      clock.increment(5);
      await settle();
    }
  }
  actor.stop();
  return trace;
}

const told = [];
for (const story of JSON.parse(readFileSync(0, 'utf8'))) told.push(await tell(story));
console.log(JSON.stringify(told));
