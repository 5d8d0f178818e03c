import { Signal, type ISignal } from '@lumino/signaling';
import type { CodeSaveClient } from '../client';
import type { Capture, IStatus, RecordingState } from '../tokens';

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

  /** `notebook` is a contents path; before its first execution the server's level speaks. */
  of(notebook: string | null): { state: RecordingState; reason: string | null } {
    if (this.error) {
      return { state: 'failed', reason: this.error.message };
    }
    const status = this.status;
    if (!status) {
      return { state: 'off', reason: null };
    }
    // a session learns of a switch at its next cell: until then its own entry is of yesterday
    if (status.capture === 'off' || !status.automatic) {
      return { state: 'off', reason: status.decided_by };
    }
    const own = status.recording.find(
      entry => notebook !== null && entry.notebook === notebook
    );
    if (own) {
      return { state: own.state, reason: own.reason };
    }
    return { state: 'recording', reason: null };
  }

  private _changed = new Signal<this, void>(this);
}
