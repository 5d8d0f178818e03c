import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { NoAnswerError, type CodeSaveClient } from '../client';
import type { IRecording, IStatus } from '../tokens';
import { RecordingModel } from './recording';

/** What a server says, with the changes that a test is about. */
async function told(change: Partial<IStatus> = {}): Promise<RecordingModel> {
  const status = {
    capture: 'all',
    automatic: true,
    decided_by: 'default',
    recording: [],
    ...change
  };
  const client = { status: async () => status } as unknown as CodeSaveClient;
  const model = new RecordingModel(client);
  await model.refresh();
  return model;
}

const running = {
  notebook: 'work/a.ipynb',
  state: 'recording',
  reason: 'default'
} as IRecording;
const notebook = (said?: unknown) => ({ path: 'work/a.ipynb', said });

test('a notebook whose metadata switch capture off is not recorded and says why', async () => {
  const off = { state: 'off', reason: 'the metadata of a.ipynb', sourcesOnly: false };
  assert.deepEqual((await told()).of(notebook({ capture: 'off' })), off);
  const model = await told({ recording: [running] });
  assert.deepEqual(model.of(notebook({ capture: 'off' })), off);
});

test('a notebook whose metadata ask for its sources alone says so', async () => {
  assert.deepEqual(
    (await told({ recording: [running] })).of(notebook({ capture: 'sources' })),
    { state: 'recording', reason: 'the metadata of a.ipynb', sourcesOnly: true }
  );
});

test('metadata cannot switch on what the user switched off', async () => {
  const model = await told({ capture: 'off', decided_by: 'user settings' });
  assert.deepEqual(model.of(notebook({ capture: 'all' })), {
    state: 'off',
    reason: 'user settings',
    sourcesOnly: false
  });
});

test('metadata without a word of ours, or with nonsense, leave a notebook recorded', async () => {
  const model = await told({ recording: [running] });
  for (const said of [undefined, null, 'off', [], { capture: 7 }, { skipped: true }]) {
    assert.equal(model.of(notebook(said)).state, 'recording');
  }
  assert.equal(model.of(null).state, 'recording');
});

test('a session that fails tells its own reason, whatever the metadata ask for', async () => {
  const failed = { ...running, state: 'failed', reason: 'no room' } as IRecording;
  assert.deepEqual((await told({ recording: [failed] })).of(notebook({ capture: 'sources' })), {
    state: 'failed',
    reason: 'no room',
    sourcesOnly: false
  });
});

test('without an answer of the server nobody knows whether kernels go on recording', async () => {
  const client = { status: () => Promise.reject(new NoAnswerError()) };
  const model = new RecordingModel(client as unknown as CodeSaveClient);
  assert.equal(model.of(null).state, 'unknown');
  await model.refresh();
  assert.equal(model.of(notebook()).state, 'unknown');
  assert.match(model.of(null).reason ?? '', /does not answer/);
});
