import { Signal, type ISignal } from '@lumino/signaling';
import type { ICell, INotebookContent } from '@jupyterlab/nbformat';
import type { CodeSaveClient } from '../client';
import type { IRunPage, IStoredFile } from '../tokens';

/** What a session notebook's cell says of the execution that it stands for. */
export interface IExecution {
  /** Its place among the notebook's cells. */
  index: number;
  execution: number | null;
  cellId: string | null;
  status: string;
  prompt: number | null;
  /** Milliseconds; null while it runs or where the kernel did not say. */
  duration: number | null;
  started: string | null;
  firstLine: string;
}

/** One run as it is looked at: its page and its session notebook. */
export class SessionModel {
  constructor(
    private client: CodeSaveClient,
    readonly run: string
  ) {}

  state: 'loading' | 'ready' | 'error' = 'loading';
  error: Error | null = null;
  page: IRunPage | null = null;
  notebook: INotebookContent | null = null;

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  async load(): Promise<void> {
    try {
      [this.page, this.notebook] = await Promise.all([
        this.client.run(this.run),
        this.client.notebook(this.run)
      ]);
      this.state = 'ready';
      this.error = null;
    } catch (error) {
      this.state = 'error';
      this.error = error as Error;
    }
    this._changed.emit();
  }

  /** Loads again what changed; many calls in a row share one. */
  refresh(): void {
    if (!this._pending) {
      this._pending = true;
      setTimeout(() => {
        this._pending = false;
        void this.load();
      }, 300);
    }
  }

  get executions(): IExecution[] {
    return (this.notebook?.cells ?? []).map(executionOf);
  }

  /** The bytes of a file of the run's last version. */
  file({ digest }: IStoredFile): Promise<Blob> {
    return this.client.blob(digest, this.run);
  }

  private _pending = false;
  private _changed = new Signal<this, void>(this);
}

export function executionOf(cell: ICell, index: number): IExecution {
  const own = (cell.metadata.codesave ?? {}) as Record<string, unknown>;
  const times = (cell.metadata.execution ?? {}) as Record<string, string | undefined>;
  const start = times['iopub.execute_input'] ?? times['iopub.status.busy'];
  const end = times['shell.execute_reply'] ?? times['iopub.status.idle'];
  const source = Array.isArray(cell.source) ? cell.source.join('') : cell.source;
  const spent = start && end ? Date.parse(end) - Date.parse(start) : NaN;
  return {
    index,
    execution: typeof own.execution === 'number' ? own.execution : null,
    cellId: typeof own.cell_id === 'string' ? own.cell_id : null,
    status: typeof own.status === 'string' ? own.status : 'unknown',
    prompt: typeof cell.execution_count === 'number' ? cell.execution_count : null,
    duration: Number.isFinite(spent) ? spent : null,
    started: start ?? null,
    firstLine: source.split('\n').find(line => line.trim() !== '') ?? ''
  };
}
