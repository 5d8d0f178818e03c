import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';
import { CommandIDs } from '../commands';
import type { IRunGroup, RunsModel } from '../model/runs';
import { cellCount, dayAndTime, givenName, runTitle, sameMinute } from '../model/titles';
import type { IRun } from '../tokens';
import { moveFocus } from './listkeys';

interface IGroupProps {
  group: IRunGroup;
  first: boolean;
  model: RunsModel;
  commands: CommandRegistry;
  trans: TranslationBundle;
}

/** The runs of one notebook under its name. */
export function RunGroup({ group, first, model, commands, trans }: IGroupProps): JSX.Element {
  const [open, setOpen] = React.useState(true);
  const Caret = open ? caretDownIcon : caretRightIcon;
  const seconds = sameMinute(group.runs);
  const reachable = group.runs.find(run => model.selection.includes(run.id)) ?? group.runs[0];
  return (
    <section className="codesave-RunGroup" aria-label={group.title}>
      <h3>
        <button aria-expanded={open} title={group.key} onClick={() => setOpen(!open)}>
          <Caret.react tag="span" />
          <span className="codesave-RunGroup-title">{group.title}</span>
          {group.current && <span className="codesave-Badge">{trans.__('open')}</span>}
        </button>
      </h3>
      {open && (
        <ul
          role="listbox"
          aria-multiselectable="true"
          aria-label={trans.__('Runs of %1', group.title)}
          onKeyDown={moveFocus}
        >
          {group.runs.map(run => (
            <RunRow
              key={run.id}
              run={run}
              seconds={seconds.has(run.id)}
              selected={model.selection.includes(run.id)}
              reachable={run === reachable}
              model={model}
              commands={commands}
              trans={trans}
            />
          ))}
        </ul>
      )}
    </section>
  );
}

interface IRowProps {
  run: IRun;
  /** Whether another run of the group started in the same minute. */
  seconds: boolean;
  selected: boolean;
  reachable: boolean;
  model: RunsModel;
  commands: CommandRegistry;
  trans: TranslationBundle;
}

function RunRow(props: IRowProps): JSX.Element {
  const { run, seconds, selected, reachable, model, commands, trans } = props;
  const open = () => void commands.execute(CommandIDs.openSession, { run: run.id });
  const onKeyDown = (event: React.KeyboardEvent) => {
    const todo: Record<string, () => unknown> = {
      Enter: open,
      ' ': () => model.select(run.id, true)
    };
    if (todo[event.key]) {
      event.preventDefault();
      void todo[event.key]();
    }
  };
  return (
    <li
      role="option"
      className="codesave-Run"
      data-run={run.id}
      data-state={run.state}
      aria-selected={selected}
      tabIndex={reachable ? 0 : -1}
      title={[runTitle(run), run.project, run.id, run.error].filter(Boolean).join('\n')}
      onClick={event => model.select(run.id, event.ctrlKey || event.metaKey)}
      onDoubleClick={open}
      onKeyDown={onKeyDown}
    >
      <span className="codesave-Run-state" aria-hidden="true" />
      <span className="codesave-Run-title">{dayAndTime(run.started, seconds)}</span>
      <span className="codesave-Run-detail">
        <span className="codesave-Run-words">{stateWords(run.state, trans)}</span>
        <span>{cellCount(run)}</span>
      </span>
      {givenName(run) && <strong className="codesave-Run-name">{givenName(run)}</strong>}
      {run.tags.length > 0 && (
        <span className="codesave-Run-tags">
          {run.tags.map(tag => (
            <span key={tag} className="codesave-Tag">
              {tag}
            </span>
          ))}
        </span>
      )}
    </li>
  );
}

export function stateWords(state: string, trans: TranslationBundle): string {
  switch (state) {
    case 'running':
      return trans.__('running');
    case 'finished':
      return trans.__('finished');
    case 'crashed':
      return trans.__('crashed');
    case 'deleted':
      return trans.__('deleted');
    default:
      return state;
  }
}
