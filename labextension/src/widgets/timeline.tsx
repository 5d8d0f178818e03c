import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import { outcome, spent } from '../model/session';
import { duration, when } from '../model/titles';
import type { IOutlined } from '../tokens';

/** Rows that are drawn above and below those in view. */
const MARGIN = 12;

export interface IExecutionActions {
  goTo(index: number): void;
  /** The cell in the open notebook. */
  goToNotebook(execution: IOutlined): void;
  copy(index: number): void;
  /** All executions of the same cell, beside each other. */
  compare(execution: IOutlined): void;
}

interface IProps {
  executions: readonly IOutlined[];
  notebook: boolean;
  actions: IExecutionActions;
  trans: TranslationBundle;
}

/** The executions in the order in which they ran, with how long each took. */
export function Timeline({ executions, notebook, actions, trans }: IProps): JSX.Element {
  const [chosen, setChosen] = React.useState<number | null>(null);
  const choose = (index: number) => {
    setChosen(index);
    actions.goTo(index);
  };
  const picked = chosen === null ? undefined : executions[chosen];
  const again = picked?.cell_id
    ? executions.filter(({ cell_id: id }) => id === picked.cell_id).length
    : 0;
  return (
    <>
      <Executions executions={executions} chosen={chosen} choose={choose} trans={trans} />
      {picked && (
        <div
          className="codesave-Timeline-actions"
          role="toolbar"
          aria-label={trans.__('Execution')}
        >
          <button className="codesave-Button" onClick={() => actions.copy(chosen!)}>
            {trans.__('Copy cell')}
          </button>
          <button
            className="codesave-Button"
            disabled={!notebook || !picked.cell_id}
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

interface IListProps {
  executions: readonly IOutlined[];
  chosen: number | null;
  choose: (index: number) => void;
  trans: TranslationBundle;
}

/** Only the rows near the view are in the page; the list has the focus, a row is active. */
function Executions({ executions, chosen, choose, trans }: IListProps): JSX.Element {
  const list = React.useRef<HTMLOListElement>(null);
  const id = React.useId();
  const [active, setActive] = React.useState(0);
  const [row, setRow] = React.useState(24);
  const [view, setView] = React.useState({ top: 0, height: 800 });
  const longest = React.useMemo(
    () => executions.reduce((most, each) => Math.max(most, spent(each) ?? 0), 1),
    [executions]
  );
  const widest = React.useMemo(
    () => executions.reduce((most, { prompt }) => Math.max(most, `${prompt ?? ''}`.length), 1),
    [executions]
  );
  const look = () => {
    const { scrollTop: top, clientHeight: height } = list.current!;
    setView(now => (now.top === top && now.height === height ? now : { top, height }));
  };
  React.useLayoutEffect(() => {
    const drawn = list.current?.querySelector('[role=option]')?.getBoundingClientRect().height;
    if (drawn && Math.abs(drawn - row) > 0.01) {
      setRow(drawn);
    }
  });
  React.useEffect(() => {
    const observer = new ResizeObserver(look);
    observer.observe(list.current!);
    return () => observer.disconnect();
  }, []);

  const goTo = (index: number) => {
    const node = list.current!;
    const [top, bottom] = [index * row, (index + 1) * row];
    if (top < node.scrollTop) {
      node.scrollTop = top;
    } else if (bottom > node.scrollTop + node.clientHeight) {
      node.scrollTop = bottom - node.clientHeight;
    }
    setActive(index);
    look();
  };
  const onKeyDown = (event: React.KeyboardEvent) => {
    const page = Math.max(1, Math.floor(view.height / row) - 1);
    const last = executions.length - 1;
    const to: Record<string, number> = {
      ArrowDown: Math.min(active + 1, last),
      ArrowUp: Math.max(active - 1, 0),
      PageDown: Math.min(active + page, last),
      PageUp: Math.max(active - page, 0),
      Home: 0,
      End: last
    };
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      if (executions[active]) {
        choose(active);
      }
    } else if (event.key in to && last >= 0) {
      event.preventDefault();
      event.stopPropagation();
      goTo(to[event.key]);
    }
  };

  const first = Math.max(0, Math.floor(view.top / row) - MARGIN);
  const end = Math.min(executions.length, Math.ceil((view.top + view.height) / row) + MARGIN);
  return (
    <ol
      ref={list}
      role="listbox"
      tabIndex={0}
      aria-label={trans.__('Executions')}
      aria-activedescendant={active >= first && active < end ? `${id}-${active}` : undefined}
      style={{ '--codesave-prompt': `${widest + 2}ch` } as React.CSSProperties}
      onScroll={look}
      onKeyDown={onKeyDown}
    >
      <li role="presentation" style={{ height: first * row }} />
      {executions.slice(first, end).map((execution, i) => (
        <Row
          key={first + i}
          id={`${id}-${first + i}`}
          place={first + i}
          of={executions.length}
          execution={execution}
          longest={longest}
          selected={first + i === chosen}
          active={first + i === active}
          choose={() => {
            setActive(first + i);
            choose(first + i);
          }}
          trans={trans}
        />
      ))}
      <li role="presentation" style={{ height: (executions.length - end) * row }} />
    </ol>
  );
}

interface IRowProps {
  id: string;
  place: number;
  of: number;
  execution: IOutlined;
  longest: number;
  selected: boolean;
  active: boolean;
  choose: () => void;
  trans: TranslationBundle;
}

function Row(props: IRowProps): JSX.Element {
  const { execution, longest, trans } = props;
  const { prompt, started, line } = execution;
  const status = outcome(execution);
  const ms = spent(execution);
  const words = outcomeWords(status, trans);
  return (
    <li
      id={props.id}
      role="option"
      aria-selected={props.selected}
      aria-posinset={props.place + 1}
      aria-setsize={props.of}
      className={props.active ? 'codesave-mod-active' : ''}
      data-status={status}
      title={[started && when(started), words ?? status, line].filter(Boolean).join('\n')}
      onClick={props.choose}
    >
      <span className="codesave-Timeline-prompt">{prompt === null ? '' : `[${prompt}]`}</span>
      <span className="codesave-Timeline-line">{line}</span>
      <span className="codesave-Timeline-time">
        {words ?? (ms === null ? '' : duration(ms))}
      </span>
      <span
        className="codesave-Timeline-bar"
        style={{ width: `${(100 * (ms ?? 0)) / longest}%` }}
      />
    </li>
  );
}

/** How an execution that did not simply end stands; null for one that did. */
function outcomeWords(status: string, trans: TranslationBundle): string | null {
  switch (status) {
    case 'running':
      return trans.__('running');
    case 'error':
      return trans.__('error');
    case 'interrupted':
      return trans.__('interrupted');
    case 'unfinished':
      return trans.__('unfinished');
    default:
      return null;
  }
}
