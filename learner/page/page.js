// The learner's page: asks for /status.json each second and /history.json every
// two, and shows them. Everything from outside goes in as text.
'use strict';

const byId = (id) => document.getElementById(id);

const CURVES = [
  ['mean_return', 'Return', 'mean of 100 episodes'],
  ['evaluation_return', 'Evaluation', 'mean return without exploration'],
  ['updates_per_second', 'Updates', 'a second'],
  ['steps_per_second', 'Environment steps', 'a second'],
  ['q_loss', 'Loss of Q', ''],
  ['q_mean', 'Q', 'mean of a minibatch'],
  ['stein_norm', 'Stein direction', 'root mean square'],
  ['alpha', 'Temperature', 'alpha'],
  ['entropy_nats', 'Entropy', 'nats'],
];

function number(x) {
  if (x === null || x === undefined) return '–';
  const size = Math.abs(x);
  if (size >= 1e15) return x.toExponential(4);
  if (Number.isInteger(x)) return x.toLocaleString('en');
  if (size >= 1e6 || size < 1e-3) return x.toExponential(2);
  return x.toLocaleString('en', {maximumSignificantDigits: size >= 1000 ? 5 : 4});
}

function duration(seconds) {
  const s = Math.round(seconds);
  const two = (n) => String(n).padStart(2, '0');
  return (s >= 86400 ? `${Math.floor(s / 86400)} d ` : '') +
    `${two(Math.floor(s / 3600) % 24)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function table(id, heads, rows) { // rows: [class, cells]
  const head = element('tr');
  heads.forEach((text) => head.append(element('th', text)));
  const all = rows.map(([className, cells]) => {
    const row = element('tr', undefined, className);
    cells.forEach((text) => row.append(element('td', text)));
    return row;
  });
  if (all.length === 0) all.push(element('tr', 'none yet'));
  byId(id).replaceChildren(head, ...all);
}

// ---- curves ----

const cards = CURVES.map(([name, title, unit]) => {
  const figure = element('figure');
  const caption = element('figcaption');
  const label = element('strong', title);
  const value = element('output', '–');
  if (unit) label.append(' ', element('span', unit));
  caption.append(label, value);
  const canvas = element('canvas');
  canvas.setAttribute('role', 'img');
  figure.append(caption, canvas);
  figure.hidden = true;
  byId('curves').append(figure);
  const card = {name, title, figure, value, canvas, at: null};
  canvas.addEventListener('pointermove', (event) => {
    card.at = event.offsetX;
    draw(card);
  });
  canvas.addEventListener('pointerleave', () => {
    card.at = null;
    draw(card);
  });
  return card;
});

let curves = null; // the last /history.json

function draw(card) {
  const ys = curves ? curves[card.name] : [];
  const xs = curves ? curves.seconds : [];
  const known = ys.map((y, i) => i).filter((i) => ys[i] !== null);
  card.figure.hidden = known.length < 2;
  if (card.figure.hidden) return;
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(`--${name}`);
  const scale = window.devicePixelRatio || 1;
  const width = card.canvas.clientWidth, height = card.canvas.clientHeight;
  card.canvas.width = width * scale;
  card.canvas.height = height * scale;
  const pen = card.canvas.getContext('2d');
  pen.scale(scale, scale);
  pen.font = '11px system-ui, sans-serif';
  const left = 4, right = width - 4, top = 16, bottom = height - 16;
  let low = Infinity, high = -Infinity;
  known.forEach((i) => {
    low = Math.min(low, ys[i]);
    high = Math.max(high, ys[i]);
  });
  if (low === high) {
    const room = Math.abs(low) * 0.1 || 1;
    low -= room;
    high += room;
  }
  const begin = xs[known[0]], end = xs[known[known.length - 1]];
  const x = (i) => left + (right - left) * (xs[i] - begin) / (end - begin || 1);
  const y = (i) => bottom - (bottom - top) * (ys[i] - low) / (high - low);
  pen.strokeStyle = color('line');
  pen.beginPath();
  [top, bottom].forEach((at) => {
    pen.moveTo(left, at);
    pen.lineTo(right, at);
  });
  pen.stroke();
  pen.fillStyle = color('soft');
  pen.fillText(number(high), left, top - 4);
  pen.fillText(number(low), left, bottom + 12);
  pen.textAlign = 'right';
  pen.fillText(duration(end), right, bottom + 12);
  pen.strokeStyle = color('curve');
  pen.lineWidth = 1.6;
  pen.beginPath();
  known.forEach((i, k) => (k === 0 ? pen.moveTo(x(i), y(i)) : pen.lineTo(x(i), y(i))));
  pen.stroke();
  let shown = known[known.length - 1];
  if (card.at !== null) {
    shown = known.reduce((best, i) =>
      (Math.abs(x(i) - card.at) < Math.abs(x(best) - card.at) ? i : best));
  }
  pen.fillStyle = color('curve');
  pen.beginPath();
  pen.arc(x(shown), y(shown), 3, 0, 2 * Math.PI);
  pen.fill();
  card.value.textContent = number(ys[shown]) + (card.at === null ? '' : ` at ${duration(xs[shown])}`);
  card.canvas.setAttribute('aria-label',
    `${card.title} from ${number(low)} to ${number(high)}, now ${number(ys[known[known.length - 1]])}`);
}

// ---- the rest ----

function state(text, className) {
  byId('state').textContent = text;
  byId('state').className = `pill ${className}`;
}

function showRun(status) {
  const {run, metrics, why} = status;
  document.title = `${run.task} – softq`;
  byId('task').textContent = run.task;
  byId('run').textContent = `${run.folder}, ${run.algorithm}, generation ${metrics.generation}, ` +
    `softq ${run.version}; others join ${run.address}`;
  const waits = why.length > 0 && why[0].startsWith('no update');
  state(run.ending ? 'ending' : waits ? 'waiting' : 'learning', run.ending || waits ? 'wait' : 'good');
  const rate = metrics.updates_per_second;
  const left = metrics.max_updates > 0 && rate > 0
    ? `, ${duration((metrics.max_updates - metrics.updates) / rate)} left` : '';
  byId('pace').textContent = `${number(metrics.updates)} updates, ${number(metrics.steps)} steps in ` +
    `${duration(metrics.seconds)}; ${number(Math.round(rate))} updates and ` +
    `${number(Math.round(metrics.steps_per_second))} steps a second${left}`;
  byId('bar').hidden = !(metrics.max_updates > 0);
  if (metrics.max_updates > 0) {
    byId('done').style.width = `${Math.min(100, 100 * metrics.updates / metrics.max_updates)}%`;
  }
  byId('why').replaceChildren(...why.map((line) => element('li', line)));
}

function showPeers(status) {
  table('shards', ['shard', 'name', 'state', 'rows', 'of', 'ever stored', 'heard'],
    status.shards.sort((a, b) => a.index - b.index).map((s) => [s.state === 'listed' ? '' : 'bad',
      [s.index, s.name, s.state, number(s.present), number(s.capacity), number(s.stored),
        `${s.silent_seconds.toFixed(1)} s ago`]]));
  const {here, silent, shown} = status.actors;
  byId('actors-count').textContent = `${number(here)} here, ${number(silent)} silent` +
    (shown.length < here ? `; the ${shown.length} that are silent or lag most` : '');
  table('actors', ['actor', 'state', 'heard', 'lag (updates)', 'steps', 'episodes', 'unacknowledged', 'told busy'],
    shown.map((a) => [a.silent ? 'bad' : a.window_full ? 'wait' : '',
      [a.name, a.silent ? 'silent' : a.window_full ? 'window full' : 'acts',
        `${a.silent_seconds.toFixed(1)} s ago`, number(a.lag_updates), number(a.steps),
        number(a.episodes), number(a.outstanding), number(a.busy)]]));
}

function showEvaluators({evaluators, metrics}) {
  byId('evaluators-section').hidden = evaluators.length === 0;
  const success = metrics.evaluation_success === undefined ? ''
    : `, ${number(100 * metrics.evaluation_success)} % at a goal`;
  byId('evaluation').textContent = metrics.evaluation_return === undefined ? ''
    : `after ${number(metrics.evaluation_updates)} updates: return ${number(metrics.evaluation_return)} ± ` +
      `${number(metrics.evaluation_deviation)}, length ${number(metrics.evaluation_length)}${success}`;
  table('evaluators', ['evaluator', 'state', 'heard'],
    evaluators.map((e) => [e.silent ? 'bad' : '',
      [e.name, e.silent ? 'silent' : e.plays_updates === null ? 'waits for its turn'
        : `plays update ${number(e.plays_updates)}`, `${e.silent_seconds.toFixed(1)} s ago`]]));
}

function showNumbers(metrics) {
  byId('numbers').replaceChildren(...Object.entries(metrics).map(([name, value]) => {
    const pair = element('div');
    pair.append(element('dt', name), element('dd', number(value)));
    return pair;
  }));
}

async function ask(path) {
  const answer = await fetch(path, {cache: 'no-store', signal: AbortSignal.timeout(3000)});
  return answer.ok ? answer.json() : null;
}

let turn = 0, missed = 0;

async function refresh() {
  try {
    const status = await ask('status.json');
    if (status) {
      missed = 0;
      showRun(status);
      showPeers(status);
      showEvaluators(status);
      showNumbers(status.metrics);
    }
    if (status && turn++ % 2 === 0) {
      curves = await ask('history.json') || curves;
      cards.forEach(draw);
    }
  } catch {
    if (++missed >= 2) state('no answer: the learner has ended or is away', 'bad');
  }
  setTimeout(refresh, 1000);
}

window.addEventListener('resize', () => cards.forEach(draw));
refresh();
