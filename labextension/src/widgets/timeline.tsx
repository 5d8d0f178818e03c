import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import type { IExecution } from '../model/session';
import { duration, when } from '../model/titles';
import { moveFocus } from './listkeys';

interface IProps {
  executions: IExecution[];
  goTo: (index: number) => void;
  trans: TranslationBundle;
}

/** The executions in the order in which they ran, with how long each took. */
export function Timeline({ executions, goTo, trans }: IProps): JSX.Element {
  const longest = Math.max(1, ...executions.map(({ duration: ms }) => ms ?? 0));
  return (
    <ol role="listbox" aria-label={trans.__('Executions')} onKeyDown={moveFocus}>
      {executions.map((execution, i) => {
        const { index, prompt, status, started, firstLine, duration: ms } = execution;
        return (
          <li
            key={index}
            role="option"
            aria-selected={false}
            tabIndex={i === 0 ? 0 : -1}
            data-status={status}
            title={[started && when(started), status, firstLine].filter(Boolean).join('\n')}
            onClick={() => goTo(index)}
            onKeyDown={event => event.key === 'Enter' && goTo(index)}
          >
            <span className="codesave-Timeline-prompt">
              {prompt === null ? '' : `[${prompt}]`}
            </span>
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
      })}
    </ol>
  );
}
