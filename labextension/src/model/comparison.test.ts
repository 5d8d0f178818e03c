import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import type { CodeSaveClient } from '../client';
import type { IComparedFile, IDiffOptions, Side } from '../tokens';
import { ComparisonModel, firstToShow, likelyFile, SESSION } from './comparison';

function file(path: string, change: Partial<IComparedFile> = {}): IComparedFile {
  const kind = path.endsWith('.ipynb') ? 'notebook' : 'text';
  return { path, status: 'modified', kind, ...change } as IComparedFile;
}

function server(files: IComparedFile[]) {
  const asked: string[] = [];
  const client = {
    asked,
    diff: async (base: string, head: string, { path }: IDiffOptions) => {
      asked.push(`diff ${path ?? ''}`);
      const found = files.filter(one => !path || one.path === path);
      if (found.length === 0) {
        throw new Error(`there is no ${path}`);
      }
      return { base: { ref: base }, head: { ref: head }, files: found, truncated: false };
    },
    cells: async (base: string, head: string, path: string, side: Side, indices: number[]) => {
      asked.push(`cells ${side} ${indices.join()}`);
      return Object.fromEntries(
        indices.map(i => [i, { cell_type: 'code', source: `${side}${i}` }])
      );
    }
  };
  return client as unknown as CodeSaveClient & { asked: string[] };
}

test('what ran is shown first', () => {
  assert.equal(firstToShow([file('a.py'), file('b.ipynb'), file(SESSION)])?.path, SESSION);
});

test('an unchanged session gives way to a changed file', () => {
  const same = file(SESSION, { status: 'unchanged' });
  assert.equal(firstToShow([same, file('a.py')])?.path, 'a.py');
});

test('a notebook on disk is looked at under its own name', () => {
  assert.equal(likelyFile('1a2b3c4d', './study/a.ipynb'), 'a.ipynb');
  assert.equal(likelyFile('1a2b3c4d', 'source-demo:v1'), SESSION);
  assert.equal(likelyFile('a.ipynb@2', '@1'), SESSION);
});

test('the session is asked for together with the list of files', async () => {
  const client = server([file(SESSION), file('a.py')]);
  const model = new ComparisonModel(client, { base: 'one', head: 'two' });
  await model.load();
  assert.deepEqual(client.asked, ['diff ', `diff ${SESSION}`]);
  assert.equal(model.state, 'ready');
  assert.equal(model.file?.path, SESSION);
});

test('without a session the first changed file is fetched', async () => {
  const model = new ComparisonModel(server([file('a.py')]), { base: 'one', head: 'two' });
  await model.load();
  assert.equal(model.state, 'ready');
  assert.equal(model.file?.path, 'a.py');
});

test('a server that refuses shows why', async () => {
  const model = new ComparisonModel(server([]), { base: 'one', head: 'two' });
  await model.load();
  assert.equal(model.state, 'error');
  assert.match(model.error!.message, /there is no/);
});

test('cells wanted in one turn share a request a side, and are asked for once', async () => {
  const client = server([file(SESSION)]);
  const model = new ComparisonModel(client, { base: 'one', head: 'two' });
  await model.load();
  client.asked.length = 0;
  const cells = await Promise.all([
    model.cell('base', 3),
    model.cell('base', 4),
    model.cell('head', 4),
    model.cell('base', 3)
  ]);
  assert.deepEqual(client.asked, ['cells base 3,4', 'cells head 4']);
  assert.deepEqual(
    cells.map(cell => cell.source),
    ['base3', 'base4', 'head4', 'base3']
  );
});

test('a cancelled comparison says so', async () => {
  const client = {
    diff: (_base: string, _head: string, _options: IDiffOptions, signal: AbortSignal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  } as unknown as CodeSaveClient;
  const model = new ComparisonModel(client, { base: 'one', head: 'two' });
  const loading = model.load();
  model.cancel();
  await loading;
  assert.equal(model.state, 'error');
  assert.match(model.error!.message, /cancelled/);
});

test('a run that goes on is noted once and shown stays what was shown', async () => {
  const client = server([file(SESSION)]);
  const model = new ComparisonModel(client, { base: 'one', head: 'two' });
  await model.load();
  const noted: string[] = [];
  model.changed.connect((_, what) => noted.push(what));
  model.noteChange('other');
  model.noteChange('two');
  model.noteChange('two');
  assert.deepEqual(noted, ['outdated']);
  assert.equal(model.state, 'ready');
  await model.load();
  assert.equal(model.outdated, false);
});
