import { Token } from '@lumino/coreutils';
import type { ICell, INotebookContent } from '@jupyterlab/nbformat';
import type { CodeSaveClient } from './client';
import type { RecordingModel } from './model/recording';
import type { RunsModel } from './model/runs';

/** What every plugin of this extension shares. */
export interface ICodeSave {
  readonly client: CodeSaveClient;
  readonly runs: RunsModel;
  readonly recording: RecordingModel;
}

export const ICodeSave = new Token<ICodeSave>(
  'jupyter-codesave:ICodeSave',
  'The recorded runs of this server, their recording state and the client that asks for them.'
);

/** Times are ISO 8601 in UTC; `notebook` is a contents path where the server can map it. */
export interface IRun {
  id: string;
  name: string | null;
  project: string | null;
  kind: 'kernel' | 'terminal' | 'script';
  state: 'running' | 'finished' | 'crashed' | string;
  ended_by: string | null;
  notebook: string | null;
  program: string | null;
  session: string;
  kernel_id: string | null;
  started: string;
  ended: string | null;
  executions: number;
  git_commit: string | null;
  artifact: string | null;
  tags: string[];
  notes: string | null;
  error: string | null;
}

export interface IStoredFile {
  path: string;
  digest: string;
  size: number;
}

export interface IRunPage extends IRun {
  config: Record<string, unknown> | null;
  argv: string[] | null;
  cwd: string | null;
  host: string | null;
  user: string | null;
  git: { commit: string; branch: string; remote: string; dirty: boolean } | null;
  environment: { python: string; packages: Record<string, string> } | null;
  /** What the run saved. */
  files: IStoredFile[];
  /** The files of the newest version of its code. */
  code: IStoredFile[];
  versions: { artifact: string; version: string; aliases: string[]; created: string }[];
  session_runs: string[];
}

/** What a person sees of an execution before its outputs are fetched. */
export interface IOutlined {
  execution: number | null;
  cell_id: string | null;
  status: string | null;
  /** The name of the exception that ended it. */
  error?: string | null;
  prompt: number | null;
  started: string | null;
  ended: string | null;
  /** The first line that is not blank. */
  line: string;
  lines: number;
  outputs: number;
  /** The indices of the outputs that are an image. */
  images: number[];
  /** Characters of all outputs. */
  size: number;
}

/** A run's session notebook without its outputs; an execution's place is its cell's. */
export interface IOutline {
  language: string | null;
  /** What could not be recorded. */
  gaps: string[];
  executions: IOutlined[];
}

export interface IRunList {
  runs: IRun[];
  next: string | null;
}

export interface IRunQuery {
  limit?: number;
  cursor?: string;
  project?: string;
  notebook?: string;
  q?: string;
  state?: RunState;
}

/** Runs of one state; `deleted` are those that can be restored, '' all that are not deleted. */
export type RunState = '' | 'running' | 'finished' | 'crashed' | 'deleted';

export interface IRunChange {
  name?: string;
  tags?: string[];
  notes?: string;
}

export interface IArtifact {
  name: string;
  type: string;
  project: string | null;
  versions: {
    version: string;
    aliases: string[];
    digest: string;
    size: number;
    run: string | null;
    created: string;
  }[];
}

export type RecordingState = 'recording' | 'off' | 'failed' | 'unknown';

export interface IRecording {
  session: string | null;
  notebook: string | null;
  kernel_id: string | null;
  state: RecordingState;
  by: 'kernel' | 'server';
  reason: string | null;
}

export type Capture = 'all' | 'sources' | 'off';

export interface IStatus {
  capture: Capture;
  automatic: boolean;
  decided_by: string;
  dir: string;
  size: number;
  budget: number | null;
  waiting: number;
  /** Why what is recorded does not reach the store; null where it does. */
  behind: string | null;
  recording: IRecording[];
  version: string;
}

export interface ISetting {
  value: unknown;
  source: string;
  locked: boolean;
}

export type ISettingsPayload = Record<string, ISetting>;

export type Change = 'added' | 'removed' | 'modified' | 'moved' | 'unchanged';
export type Field = 'source' | 'outputs' | 'metadata';

/** One cell as a person sees the comparison; `base` and `head` are indices into the notebooks. */
export interface ICellChange {
  change: Change;
  base: number | null;
  head: number | null;
  fields: Field[];
  /** An earlier execution of a cell whose last one stands beside the notebook. */
  superseded?: boolean;
}

/** A cell that may have come without source or outputs; fetched whole when it is looked at. */
export type PartialCell = Partial<ICell> & { partial?: boolean; lines?: number };

export interface INotebookSide {
  metadata: INotebookContent['metadata'];
  cells: PartialCell[];
}

export type Side = 'base' | 'head';

export interface IComparedSide {
  ref: string;
  title: string;
  kind: 'run' | 'version' | 'path';
  run: IRun | null;
}

export interface IComparedFile {
  path: string;
  base_path?: string | null;
  status: 'added' | 'removed' | 'renamed' | 'modified' | 'unchanged';
  kind: 'notebook' | 'text' | 'binary';
  /** What its name says it is. */
  mime?: string | null;
  diff: unknown;
  cells: ICellChange[] | null;
  counts: Partial<
    Record<'added' | 'removed' | 'modified' | 'moved' | 'superseded', number>
  > | null;
  truncated?: boolean;
  /** Whether the notebook's own metadata differ. */
  metadata?: boolean;
  /** What ran against what the notebook says. */
  session?: boolean;
  base: { digest: string; size: number } | null;
  head: { digest: string; size: number } | null;
  notebooks?: Record<Side, INotebookSide | null> | null;
  texts?: Record<Side, string | null> | null;
}

export interface IFacts {
  git?: Record<Side, Record<string, unknown> | null> | null;
  packages?: { name: string; base: string | null; head: string | null }[];
  config?: { key: string; base: unknown; head: unknown }[];
  argv?: { base: string[] | null; head: string[] | null } | null;
}

export interface IComparison {
  base: IComparedSide;
  head: IComparedSide;
  files: IComparedFile[];
  truncated: boolean;
  facts?: IFacts | null;
}

export interface IDiffOptions {
  path?: string;
  notebooks?: 'none' | 'touched' | 'full';
  outputs?: boolean;
  metadata?: boolean;
}

export const RUN_EVENT = 'https://events.jupyter.org/codesave/run/v1';
export const STATUS_EVENT = 'https://events.jupyter.org/codesave/status/v1';

export interface IRunEvent {
  run: string;
  action: 'started' | 'updated' | 'finished' | 'deleted' | 'restored';
  state: string;
  notebook: string | null;
}
