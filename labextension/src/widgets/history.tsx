import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { Message } from '@lumino/messaging';
import * as React from 'react';
import { CommandIDs } from '../commands';
import type { RecordingModel } from '../model/recording';
import type { RunsModel } from '../model/runs';
import type { RunState } from '../tokens';
import { codeHistoryIcon } from './icons';
import { RunGroup, stateWords } from './rungroup';

const STATES: RunState[] = ['running', 'finished', 'crashed', 'deleted'];

/** The sidebar "Code history": every recorded run, newest first, grouped by notebook. */
export class RunBrowser extends ReactWidget {
  constructor(
    private model: RunsModel,
    private recording: RecordingModel,
    private commands: CommandRegistry,
    private trans: TranslationBundle
  ) {
    super();
    this.id = 'codesave-history';
    this.addClass('codesave-RunBrowser');
    this.title.icon = codeHistoryIcon;
    this.title.caption = trans.__('Code history');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Code history'));
    this.node.dataset.state = model.state;
    model.changed.connect(() => {
      this.node.dataset.state = model.state;
    });
  }

  protected onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    void this.model.refresh();
  }

  protected onActivateRequest(msg: Message): void {
    this.node.querySelector('input')?.focus();
  }

  protected render(): JSX.Element {
    return (
      <UseSignal signal={this.model.changed}>
        {() => (
          <History
            model={this.model}
            recording={this.recording}
            commands={this.commands}
            trans={this.trans}
          />
        )}
      </UseSignal>
    );
  }
}

interface IProps {
  model: RunsModel;
  commands: CommandRegistry;
  trans: TranslationBundle;
}

interface IHistoryProps extends IProps {
  recording: RecordingModel;
}

function History({ model, recording, commands, trans }: IHistoryProps): JSX.Element {
  return (
    <>
      <Filter model={model} trans={trans} />
      <Actions model={model} commands={commands} trans={trans} />
      <Fault model={model} trans={trans} />
      <UseSignal signal={recording.changed}>
        {() => <Behind recording={recording} trans={trans} />}
      </UseSignal>
      <div className="codesave-RunBrowser-list">
        {model.groups.map((group, i) => (
          <RunGroup
            key={group.key}
            group={group}
            first={i === 0}
            model={model}
            commands={commands}
            trans={trans}
          />
        ))}
        <Rest model={model} trans={trans} />
      </div>
    </>
  );
}

function Filter({ model, trans }: Omit<IProps, 'commands'>): JSX.Element {
  const [text, setText] = React.useState(model.filter);
  React.useEffect(() => {
    if (text === model.filter) {
      return;
    }
    const timer = setTimeout(() => void model.setFilter(text), 80);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <div className="codesave-RunBrowser-filter">
      <input
        type="search"
        className="jp-mod-styled"
        aria-label={trans.__('Filter runs')}
        placeholder={trans.__('Filter by name, state, code…')}
        value={text}
        onChange={event => setText(event.target.value)}
      />
    </div>
  );
}

function Actions({ model, commands, trans }: IProps): JSX.Element {
  const { selection } = model;
  const deleted = model.listed === 'deleted';
  const words = deleted
    ? trans.__('A deleted run can be restored for 30 days')
    : selection.length < 2
      ? trans.__('Ctrl-click two runs to compare them')
      : trans.__('Two runs selected');
  const picked = { run: selection[0] };
  const restore = () => commands.execute(CommandIDs.restore, picked);
  const compare = () => commands.execute(CommandIDs.compareSelected);
  return (
    <div className="codesave-RunBrowser-actions" role="toolbar" aria-label={trans.__('Runs')}>
      <button
        className="codesave-Button"
        disabled={selection.length !== 1}
        onClick={() => void commands.execute(CommandIDs.openSession, picked)}
      >
        {trans.__('Open')}
      </button>
      <button
        className="codesave-Button codesave-mod-accept"
        disabled={deleted ? selection.length !== 1 : model.pair === null}
        title={words}
        onClick={() => void (deleted ? restore() : compare())}
      >
        {deleted ? trans.__('Restore') : trans.__('Compare')}
      </button>
      <select
        aria-label={trans.__('State of the runs')}
        value={model.listed}
        onChange={event => void model.list(event.target.value as RunState)}
      >
        <option value="">{trans.__('all')}</option>
        {STATES.map(state => (
          <option key={state} value={state}>
            {stateWords(state, trans)}
          </option>
        ))}
      </select>
      <span className="codesave-hint">{words}</span>
    </div>
  );
}

/** What went wrong, above a list that may be of earlier. */
function Fault({ model, trans }: Omit<IProps, 'commands'>): JSX.Element | null {
  return model.error ? (
    <div className="codesave-note" role="alert">
      <p>{model.error.message}</p>
      <button className="codesave-Button" onClick={() => void model.refresh()}>
        {trans.__('Try again')}
      </button>
    </div>
  ) : null;
}

/** Why runs that are recorded are not in the list. */
function Behind({
  recording,
  trans
}: Pick<IHistoryProps, 'recording' | 'trans'>): JSX.Element | null {
  const behind = recording.error ? null : recording.status?.behind;
  return behind ? (
    <p className="codesave-note" role="status">
      {trans.__('Not all that is recorded is listed yet: %1', behind)}
    </p>
  ) : null;
}

/** What stands below the last run: more or nothing. */
function Rest({ model, trans }: Omit<IProps, 'commands'>): JSX.Element | null {
  const end = React.useRef<HTMLDivElement>(null);
  React.useEffect(() => {
    if (!end.current || model.complete) {
      return;
    }
    const observer = new IntersectionObserver(
      entries => {
        if (entries.some(entry => entry.isIntersecting)) {
          void model.more();
        }
      },
      { rootMargin: '400px' }
    );
    observer.observe(end.current);
    return () => observer.disconnect();
  });
  if (model.error) {
    return null;
  }
  if (model.state === 'loading') {
    return <p className="codesave-note">{trans.__('Loading…')}</p>;
  }
  if (model.groups.length === 0) {
    return (
      <p className="codesave-note">
        {model.filter
          ? trans.__('No run matches “%1”.', model.filter)
          : model.listed
            ? trans.__('No run is %1.', stateWords(model.listed, trans))
            : trans.__('No runs yet. Run a cell: it is recorded by itself and appears here.')}
      </p>
    );
  }
  return model.complete ? null : (
    <div ref={end} className="codesave-note">
      {trans.__('Loading more…')}
    </div>
  );
}
