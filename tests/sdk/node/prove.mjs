// DigitalOcean's SDK for Gradient, whose `gpuDroplets.images` is the images API, against the simulator.
// Usage: prove.mjs IMAGE wrapped|bare, with DIGITALOCEAN_API_URL and DIGITALOCEAN_TOKEN set.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import Gradient from '@digitalocean/gradient';

const [image, shape] = process.argv.slice(2);
const { DIGITALOCEAN_API_URL: baseURL, DIGITALOCEAN_TOKEN: accessToken } = process.env;

const bytes = readFileSync(image);
const source = http.createServer((request, response) => {
  const found = request.url === '/disk.qcow2.gz';
  response.writeHead(found ? 200 : 404, { 'Content-Length': found ? bytes.length : 0 });
  response.end(found && request.method !== 'HEAD' ? bytes : undefined);
});
source.listen(0, '127.0.0.1');
await once(source, 'listening');
const url = `http://127.0.0.1:${source.address().port}/disk.qcow2.gz`;

const { images } = new Gradient({ baseURL, accessToken }).gpuDroplets;

/** Asks until `ready`, as a user of the SDK has to. */
async function until(ask, ready) {
  for (let turn = 0; turn < 100; turn++) {
    const answer = await ask();
    if (ready(answer)) return answer;
    await sleep(250);
  }
  throw new Error('waited in vain');
}

// create
const ids = [];
for (let number = 0; number < 5; number++) {
  const made = await images.create({
    name: `sdk-${number}`, url, region: 'nyc3', distribution: 'Debian', description: 'from node', tags: ['sdk'],
  });
  assert.equal(made.image.status, 'NEW');
  assert.deepEqual(made.image.tags, ['sdk']);
  ids.push(made.image.id);
}
await assert.rejects(images.create({ name: 'no url' }), Gradient.UnprocessableEntityError);

// get; the fault plan lets the first two requests fail, and the SDK asks again
const imported = await until(() => images.retrieve(ids[0]), ({ image }) => image.status !== 'NEW' && image.status !== 'pending');
assert.equal(imported.image.status, 'available', imported.image.error_message);
assert.equal(imported.image.distribution, 'Debian');
assert.ok(imported.image.size_gigabytes > 0 && imported.image.min_disk_size >= 1);
for (const id of ids) await until(() => images.retrieve(id), ({ image }) => image.status === 'available');

// list, with pages
const listed = [];
for (let page = 1, more = true; more; page++) {
  const { images: some, links, meta } = await images.list({ private: true, per_page: 2, page });
  assert.equal(meta.total, 5);
  listed.push(...some.map(({ id }) => id));
  more = links.pages.next !== undefined;
}
assert.deepEqual(listed, ids);
assert.equal((await images.list({ tag_name: 'none' })).meta.total, 0);
assert.equal((await images.list({ tag_name: 'sdk' })).images.length, 5);

// update
const updated = await images.update(ids[0], { name: 'renamed', description: 'changed' });
assert.equal(updated.image.name, 'renamed');
assert.equal((await images.retrieve(ids[0])).image.description, 'changed');

// actions
const own = (answer) => (shape === 'bare' ? answer : answer.action);
for (const body of [{ type: 'transfer', region: 'fra1' }, { type: 'convert' }]) {
  const action = own(await images.actions.create(ids[0], body));
  assert.equal(action.type, body.type);
  assert.equal(action.resource_id, ids[0]);
  const done = await until(
    () => images.actions.retrieve(action.id, { image_id: ids[0] }),
    (answer) => own(answer).status !== 'in-progress',
  );
  assert.equal(own(done).status, 'completed');
}
assert.equal((await images.actions.list(ids[0])).actions.length, 2);
assert.deepEqual((await images.retrieve(ids[0])).image.regions, ['nyc3', 'fra1']);
await assert.rejects(images.actions.create(ids[0], { type: 'rebuild' }), Gradient.NotFoundError);

// delete
for (const id of ids) await images.delete(id);
await assert.rejects(images.retrieve(ids[0]), Gradient.NotFoundError);
assert.equal((await images.list()).meta.total, 0);

// a wrong token
const stranger = new Gradient({ baseURL, accessToken: 'dop_v1_wrong' }).gpuDroplets;
await assert.rejects(stranger.images.list(), Gradient.AuthenticationError);

console.log(`@digitalocean/gradient: create, get, list, update, actions (${shape}), delete`);
// Connections that the client keeps for later would hold the process for minutes.
process.exit(0);
