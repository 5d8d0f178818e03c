import { Signal, type ISignal } from '@lumino/signaling';
import { NoAnswerError, type CodeSaveClient } from '../client';
import type { Capture, IStatus, RecordingState } from '../tokens';
import { baseName } from './titles';

/** A notebook as it stands in the browser, saved or not. */
export interface INotebook {
  /** A contents path. */
  path: string;
  /** What its own metadata have under `codesave`. */
  said: unknown;
}

export interface IRecorded {
  state: RecordingState;
  /** Who decided it, or what went wrong; null where nobody had a word. */
  reason: string | null;
  /** Whether what the cells put out is not kept. */
  sourcesOnly: boolean;
}

/** Whether the open notebook is being recorded, and who said otherwise. */
export class RecordingModel {
  constructor(private client: CodeSaveClient) {}

  status: IStatus | null = null;
  error: Error | null = null;

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  async refresh(): Promise<void> {
    try {
      this.status = await this.client.status();
      this.error = null;
    } catch (error) {
      this.error = error as Error;
    }
    this._changed.emit();
  }

  /** `null` takes the user's own switch back. */
  async setCapture(capture: Capture | null): Promise<void> {
    this.status = await this.client.setCapture(capture);
    this._changed.emit();
  }

  /** Before the notebook's first execution the server's level and its own metadata speak. */
  of(notebook: INotebook | null): IRecorded {
    if (this.error) {
      // kernels go on without the server
      const state = this.error instanceof NoAnswerError ? 'unknown' : 'failed';
      return { state, reason: this.error.message, sourcesOnly: false };
    }
    const status = this.status;
    if (!status) {
      return { state: 'unknown', reason: null, sourcesOnly: false };
    }
    // a session learns of a switch at its next cell: until then its own entry is of yesterday
    if (status.capture === 'off' || !status.automatic) {
      return { state: 'off', reason: status.decided_by, sourcesOnly: false };
    }
    const said = captureOf(notebook?.said);
    const metadata = notebook && `the metadata of ${baseName(notebook.path)}`;
    if (said === 'off') {
      return { state: 'off', reason: metadata, sourcesOnly: false };
    }
    const own = notebook && status.recording.find(entry => entry.notebook === notebook.path);
    const narrowed = said === 'sources' && status.capture === 'all';
    const state = own?.state ?? 'recording';
    return {
      state,
      reason: narrowed && state === 'recording' ? metadata : (own?.reason ?? null),
      sourcesOnly: state === 'recording' && (narrowed || status.capture === 'sources')
    };
  }

  private _changed = new Signal<this, void>(this);
}

function captureOf(said: unknown): unknown {
  return said && typeof said === 'object' && 'capture' in said ? said.capture : null;
}
