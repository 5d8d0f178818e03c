import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nullTranslator } from '@jupyterlab/translation';
import type { IRun } from '../tokens';
import { choices, matching } from './choices';

const trans = nullTranslator.load('test');

function run(id: string, notebook: string): IRun {
  return {
    id,
    name: null,
    project: 'wheat',
    kind: 'kernel',
    state: 'finished',
    ended_by: null,
    notebook,
    program: null,
    session: '',
    kernel_id: null,
    started: '2026-11-20T14:00:00Z',
    ended: null,
    executions: 3,
    git_commit: null,
    artifact: null,
    tags: [],
    notes: null,
    error: null
  };
}

const version = { version: 'v0', aliases: ['latest'], digest: '', size: 0, run: null };
const all = choices(
  [run('aaaaaaaa', 'field/rows.ipynb'), run('bbbbbbbb', '/elsewhere/rows.ipynb')],
  ['open.ipynb', 'field/rows.ipynb'],
  [
    {
      name: 'source-wheat-rows',
      type: 'code',
      project: 'wheat',
      versions: [{ ...version, created: '2026-11-20T14:00:00Z' }]
    }
  ],
  trans
);

test('runs, notebooks on this server and versions can be picked, each once', () => {
  assert.deepEqual(
    all.map(({ reference }) => reference),
    ['aaaaaaaa', 'bbbbbbbb', './open.ipynb', './field/rows.ipynb', 'source-wheat-rows:v0']
  );
});

test('a person finds them by the words they know', () => {
  const found = (text: string) => matching(all, text).map(({ reference }) => reference);
  assert.deepEqual(found('ROWS 3'), ['aaaaaaaa', 'bbbbbbbb']);
  assert.deepEqual(found('disk field'), ['./field/rows.ipynb']);
  assert.deepEqual(found('latest'), ['source-wheat-rows:v0']);
  assert.deepEqual(found('nowhere'), []);
  assert.equal(found('')[0], 'aaaaaaaa');
  assert.equal(found('./field/rows.ipynb')[0], './field/rows.ipynb');
});
