import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import type { IExecution } from '../model/session';
import { duration, when } from '../model/titles';
import { moveFocus } from './listkeys';

export interface IExecutionActions {
  goTo(index: number): void;
  /** The cell in the open notebook. */
  goToNotebook(execution: IExecution): void;
  copy(index: number): void;
  /** All executions of the same cell, beside each other. */
  compare(execution: IExecution): void;
}

interface IProps {
  executions: IExecution[];
  notebook: boolean;
  actions: IExecutionActions;
  trans: TranslationBundle;
}

/** The executions in the order in which they ran, with how long each took. */
export function Timeline({ executions, notebook, actions, trans }: IProps): JSX.Element {
  const [chosen, setChosen] = React.useState<number | null>(null);
  const longest = Math.max(1, ...executions.map(({ duration: ms }) => ms ?? 0));
  const choose = (index: number) => {
    setChosen(index);
    actions.goTo(index);
  };
  const picked = chosen === null ? undefined : executions[chosen];
  const again = picked?.cellId
    ? executions.filter(({ cellId }) => cellId === picked.cellId).length
    : 0;
  return (
    <>
      <ol role="listbox" aria-label={trans.__('Executions')} onKeyDown={moveFocus}>
        {executions.map(execution => (
          <Row
            key={execution.index}
            execution={execution}
            longest={longest}
            selected={execution.index === chosen}
            reachable={execution.index === (chosen ?? 0)}
            choose={() => choose(execution.index)}
            trans={trans}
          />
        ))}
      </ol>
      {picked && (
        <div
          className="codesave-Timeline-actions"
          role="toolbar"
          aria-label={trans.__('Execution')}
        >
          <button className="codesave-Button" onClick={() => actions.copy(picked.index)}>
            {trans.__('Copy cell')}
          </button>
          <button
            className="codesave-Button"
            disabled={!notebook || !picked.cellId}
            onClick={() => actions.goToNotebook(picked)}
          >
            {trans.__('Go to notebook')}
          </button>
          <button
            className="codesave-Button"
            disabled={again < 2}
            onClick={() => actions.compare(picked)}
          >
            {again < 2 ? trans.__('Ran once') : trans.__('Compare its %1 executions', again)}
          </button>
        </div>
      )}
    </>
  );
}

interface IRowProps {
  execution: IExecution;
  longest: number;
  selected: boolean;
  reachable: boolean;
  choose: () => void;
  trans: TranslationBundle;
}

function Row(props: IRowProps): JSX.Element {
  const { execution, longest, selected, reachable, choose, trans } = props;
  const { prompt, status, started, firstLine, duration: ms } = execution;
  return (
    <li
      role="option"
      aria-selected={selected}
      tabIndex={reachable ? 0 : -1}
      data-status={status}
      title={[started && when(started), status, firstLine].filter(Boolean).join('\n')}
      onClick={choose}
      onKeyDown={event => event.key === 'Enter' && choose()}
    >
      <span className="codesave-Timeline-prompt">{prompt === null ? '' : `[${prompt}]`}</span>
      <span className="codesave-Timeline-line">{firstLine}</span>
      <span className="codesave-Timeline-time">
        {status === 'error' ? trans.__('error') : ms === null ? '' : duration(ms)}
      </span>
      <span
        className="codesave-Timeline-bar"
        style={{ width: `${(100 * (ms ?? 0)) / longest}%` }}
      />
    </li>
  );
}
