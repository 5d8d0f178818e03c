import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';
import { CommandIDs } from '../commands';
import type { SessionModel } from '../model/session';
import { runTitle } from '../model/titles';
import { stateWords } from './rungroup';

export type ViewerPage = 'session' | 'images' | 'details' | 'executions';

export interface IViewerActions {
  page(): ViewerPage;
  show(page: ViewerPage): void;
  openCopy(): void;
  download(): void;
}

/** Which run is looked at and what can be done with it. */
export class ViewerHeader extends ReactWidget {
  constructor(
    private model: SessionModel,
    private commands: CommandRegistry,
    private actions: IViewerActions,
    private trans: TranslationBundle
  ) {
    super();
    this.addClass('codesave-SessionViewer-header');
  }

  protected render(): JSX.Element {
    return <UseSignal signal={this.model.changed}>{() => this.content()}</UseSignal>;
  }

  private content(): JSX.Element {
    const { actions, commands, model, trans } = this;
    const { page } = model;
    const args = { run: model.run };
    const tab = (name: ViewerPage, label: string) => (
      <button
        className="codesave-Button"
        aria-pressed={actions.page() === name}
        onClick={() => actions.show(name)}
      >
        {label}
      </button>
    );
    const action = (label: string, todo: () => unknown, enabled = true) => (
      <button className="codesave-Button" disabled={!enabled} onClick={() => void todo()}>
        {label}
      </button>
    );
    return (
      <>
        <h2 data-state={page?.state}>
          <span className="codesave-Run-state" aria-hidden="true" />
          {page ? runTitle(page) : trans.__('Run %1', model.run)}
          {page && <small>{stateWords(page.state, trans)}</small>}
        </h2>
        <div className="codesave-Switches" role="toolbar" aria-label={trans.__('Run')}>
          <span className="codesave-Group" role="group" aria-label={trans.__('View')}>
            {tab('session', trans.__('Session'))}
            {tab('images', trans.__('Images'))}
            {tab('details', trans.__('Details'))}
          </span>
          <span className="codesave-spacer" />
          {action(trans.__('Compare with previous'), () =>
            commands.execute(CommandIDs.comparePrevious, args)
          )}
          {action(
            trans.__('Compare with notebook'),
            () => commands.execute(CommandIDs.compareWithDisk, args),
            !!page?.notebook
          )}
          {action(trans.__('Open a copy'), actions.openCopy, !!page)}
          {action(trans.__('Download'), actions.download, !!page)}
        </div>
      </>
    );
  }
}
