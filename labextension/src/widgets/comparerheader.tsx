import type { TranslationBundle } from '@jupyterlab/translation';
import {
  caretDownIcon,
  caretUpIcon,
  linkIcon,
  ReactWidget,
  UseSignal
} from '@jupyterlab/ui-components';
import * as React from 'react';
import type { ComparisonModel } from '../model/comparison';
import { baseName, runTitle } from '../model/titles';
import type { IComparedSide } from '../tokens';

export interface IComparerActions {
  pick(): void;
  step(direction: 1 | -1): void;
  copyLink(): void;
  /** "3 / 12", or null where there is nothing to step through. */
  place(): { at: number; of: number } | null;
}

/** Which two are compared, and the switches. */
export class ComparerHeader extends ReactWidget {
  constructor(
    private model: ComparisonModel,
    private actions: IComparerActions,
    private trans: TranslationBundle
  ) {
    super();
    this.addClass('codesave-Comparer-header');
  }

  protected render(): JSX.Element {
    return (
      <UseSignal signal={this.model.changed}>
        {() => (
          <>
            {this.model.outdated && (
              <p className="codesave-Outdated" role="status">
                {this.trans.__('The run went on since it was compared.')}{' '}
                <button className="codesave-Button" onClick={() => void this.model.load()}>
                  {this.trans.__('Compare again')}
                </button>
              </p>
            )}
            <Sides model={this.model} actions={this.actions} trans={this.trans} />
            <Switches model={this.model} actions={this.actions} trans={this.trans} />
          </>
        )}
      </UseSignal>
    );
  }
}

interface IProps {
  model: ComparisonModel;
  actions: IComparerActions;
  trans: TranslationBundle;
}

/** What a person calls the two sides of a comparison; equal titles are told apart by the ref. */
export function sideTitles(model: ComparisonModel, trans: TranslationBundle): [string, string] {
  const { comparison, base, head } = model;
  const titles = [
    titleOf(comparison?.base, base, trans),
    titleOf(comparison?.head, head, trans)
  ];
  return titles[0] === titles[1]
    ? [`${titles[0]} · ${base}`, `${titles[1]} · ${head}`]
    : [titles[0], titles[1]];
}

function titleOf(
  side: IComparedSide | undefined,
  ref: string,
  trans: TranslationBundle
): string {
  if (side?.kind === 'path' || (!side && ref.startsWith('./'))) {
    return trans.__('%1 on disk', baseName(ref));
  }
  return side?.run ? runTitle(side.run) : side?.title || ref;
}

function Sides({ model, actions, trans }: IProps): JSX.Element {
  const [base, head] = sideTitles(model, trans);
  const side = (name: 'base' | 'head', label: string, words: string) => (
    <button
      className={`codesave-Sides-side codesave-mod-${name}`}
      title={trans.__('Choose what to compare')}
      onClick={actions.pick}
    >
      <span className="codesave-Sides-label">{label}</span>
      <span className="codesave-Sides-title" title={words}>
        {words}
      </span>
    </button>
  );
  return (
    <div className="codesave-Sides">
      {side('base', trans.__('Base'), base)}
      <button
        className="codesave-Button"
        aria-label={trans.__('Swap base and head')}
        title={trans.__('Swap base and head')}
        onClick={() => void model.swap()}
      >
        ⇄
      </button>
      {side('head', trans.__('Head'), head)}
    </div>
  );
}

function Switches({ model, actions, trans }: IProps): JSX.Element {
  const { view } = model;
  const place = actions.place();
  const sourcesOnly = !view.outputs && !view.metadata;
  const toggle = (label: string, on: boolean, change: () => void) => (
    <button className="codesave-Button" aria-pressed={on} onClick={change}>
      {label}
    </button>
  );
  return (
    <div className="codesave-Switches" role="toolbar" aria-label={trans.__('Comparison')}>
      <span className="codesave-Group" role="group" aria-label={trans.__('Layout')}>
        {toggle(trans.__('Side by side'), view.layout === 'side', () =>
          model.setView({ layout: 'side' })
        )}
        {toggle(trans.__('Inline'), view.layout === 'inline', () =>
          model.setView({ layout: 'inline' })
        )}
      </span>
      <span className="codesave-Group" role="group" aria-label={trans.__('What is compared')}>
        {toggle(trans.__('Outputs'), view.outputs, () =>
          model.setView({ outputs: !view.outputs })
        )}
        {toggle(trans.__('Metadata'), view.metadata, () =>
          model.setView({ metadata: !view.metadata })
        )}
        {toggle(trans.__('Sources only'), sourcesOnly, () =>
          model.setView({ outputs: sourcesOnly, metadata: sourcesOnly })
        )}
      </span>
      <span className="codesave-spacer" />
      {place && (
        <>
          <span className="codesave-place" role="status">
            {place.at < 0
              ? trans._n('%1 change', '%1 changes', place.of)
              : trans.__('%1 of %2', place.at + 1, place.of)}
          </span>
          <button
            className="codesave-Button"
            aria-label={trans.__('Previous change')}
            title={trans.__('Previous change (K)')}
            disabled={place.at <= 0}
            onClick={() => actions.step(-1)}
          >
            <caretUpIcon.react tag="span" />
          </button>
          <button
            className="codesave-Button"
            aria-label={trans.__('Next change')}
            title={trans.__('Next change (J)')}
            disabled={place.at >= place.of - 1}
            onClick={() => actions.step(1)}
          >
            <caretDownIcon.react tag="span" />
          </button>
        </>
      )}
      <button
        className="codesave-Button"
        aria-label={trans.__('Copy link to this comparison')}
        title={trans.__('Copy link to this comparison')}
        onClick={actions.copyLink}
      >
        <linkIcon.react tag="span" />
      </button>
    </div>
  );
}
