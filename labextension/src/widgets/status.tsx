import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';
import type { INotebook, RecordingModel } from '../model/recording';

/** The status bar's word on whether the open notebook is recorded; a click tells why. */
export class RecordingStatus extends ReactWidget {
  constructor(
    private model: RecordingModel,
    private notebook: () => INotebook | null,
    private explain: () => void,
    private trans: TranslationBundle
  ) {
    super();
    this.addClass('codesave-Status');
    this.follow();
    model.changed.connect(() => this.follow());
  }

  /** To be called when another notebook is looked at, or its metadata change. */
  follow(): void {
    const { state, reason } = this.model.of(this.notebook());
    this.node.dataset.state = state;
    this.node.title = reason ?? '';
    this.update();
  }

  protected render(): JSX.Element {
    return (
      <UseSignal signal={this.model.changed}>
        {() => (
          <button aria-haspopup="dialog" onClick={this.explain}>
            <span className="codesave-Status-dot" aria-hidden="true" />
            {recordingWords(this.model.of(this.notebook()).state, this.trans)}
          </button>
        )}
      </UseSignal>
    );
  }
}

export function recordingWords(state: string, trans: TranslationBundle): string {
  switch (state) {
    case 'recording':
      return trans.__('Recording');
    case 'failed':
      return trans.__('Not recording!');
    case 'unknown':
      return trans.__('Recording?');
    default:
      return trans.__('Not recording');
  }
}
