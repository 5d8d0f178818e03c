import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';
import { SESSION, type ComparisonModel } from '../model/comparison';
import type { IComparedFile, IFacts } from '../tokens';
import { coarseWords } from './cellheader';
import { Drawn } from './drawn';
import { countFacts } from './facts';
import { moveFocus } from './listkeys';

/** What the tree shows as chosen: a file's path, or the facts around the code. */
export type Choice = { path: string } | 'facts';

/** The files of a comparison with their counts of changes, and the facts beneath. */
export class FileTree extends ReactWidget {
  constructor(
    private model: ComparisonModel,
    private choice: () => Choice | null,
    private choose: (choice: Choice) => void,
    private drawn: () => void,
    private trans: TranslationBundle
  ) {
    super();
    this.addClass('codesave-FileTree');
  }

  protected render(): JSX.Element {
    return (
      <UseSignal signal={this.model.changed}>
        {() => (
          <>
            <Files
              files={this.model.comparison?.files ?? []}
              facts={this.model.comparison?.facts ?? null}
              choice={this.choice()}
              choose={this.choose}
              trans={this.trans}
            />
            <Drawn then={this.drawn} />
          </>
        )}
      </UseSignal>
    );
  }
}

interface IFilesProps {
  files: IComparedFile[];
  facts: IFacts | null;
  choice: Choice | null;
  choose: (choice: Choice) => void;
  trans: TranslationBundle;
}

function Files(props: IFilesProps): JSX.Element {
  const { files, facts, choice, choose, trans } = props;
  const [all, setAll] = React.useState(false);
  const changed = files.filter(file => file.status !== 'unchanged');
  const same = files.filter(file => file.status === 'unchanged');
  const chosen = choice !== null && choice !== 'facts' ? choice.path : null;
  const shown = all || changed.length === 0 ? [...changed, ...same] : changed;
  const factCount = countFacts(facts);
  return (
    <>
      <h2 className="codesave-heading">{trans.__('Files')}</h2>
      <ul role="listbox" aria-label={trans.__('Files')} onKeyDown={moveFocus}>
        {shown.map((file, i) => (
          <FileRow
            key={file.path}
            file={file}
            chosen={file.path === chosen}
            reachable={chosen === null ? i === 0 : file.path === chosen}
            choose={() => choose({ path: file.path })}
            trans={trans}
          />
        ))}
      </ul>
      {files.length === 0 && <p className="codesave-note">{trans.__('No files.')}</p>}
      {changed.length > 0 && same.length > 0 && (
        <button className="codesave-Link" aria-expanded={all} onClick={() => setAll(!all)}>
          {all
            ? trans.__('Hide unchanged files')
            : trans._n('Show %1 unchanged file', 'Show %1 unchanged files', same.length)}
        </button>
      )}
      {factCount > 0 && (
        <button
          className="codesave-FileTree-facts"
          aria-pressed={choice === 'facts'}
          onClick={() => choose('facts')}
        >
          {trans.__('Environment')}
          <span className="codesave-counts">{factCount}</span>
        </button>
      )}
    </>
  );
}

interface IFileRowProps {
  file: IComparedFile;
  chosen: boolean;
  reachable: boolean;
  choose: () => void;
  trans: TranslationBundle;
}

function FileRow({ file, chosen, reachable, choose, trans }: IFileRowProps): JSX.Element {
  const last = file.path.split('/').pop()!;
  const folder = file.path.slice(0, -last.length);
  const name = file.path === SESSION ? trans.__('What ran') : last;
  return (
    <li
      role="option"
      aria-selected={chosen}
      tabIndex={reachable ? 0 : -1}
      data-path={file.path}
      data-status={file.status}
      title={file.base_path ? `${file.base_path} → ${file.path}` : file.path}
      onClick={choose}
      onKeyDown={event => {
        if (event.key === 'Enter' || event.key === ' ') {
          event.preventDefault();
          choose();
        }
      }}
    >
      <span className="codesave-FileTree-status" aria-label={statusWords(file.status, trans)}>
        {{ added: '+', removed: '−', renamed: '→', modified: '~', unchanged: '=' }[file.status]}
      </span>
      <span className="codesave-FileTree-name">
        <span className="codesave-FileTree-folder">{folder}</span>
        {name}
      </span>
      {file.truncated && (
        <span className="codesave-Badge" title={coarseWords(trans)}>
          {trans.__('coarse')}
        </span>
      )}
      <Counts file={file} trans={trans} />
    </li>
  );
}

function Counts({
  file,
  trans
}: {
  file: IComparedFile;
  trans: TranslationBundle;
}): JSX.Element {
  const { added = 0, removed = 0, modified = 0, moved = 0 } = file.counts ?? {};
  const words = [
    added && trans.__('%1 added', added),
    removed && trans.__('%1 removed', removed),
    modified && trans.__('%1 modified', modified),
    moved && trans.__('%1 moved', moved)
  ].filter(Boolean);
  return (
    <span className="codesave-counts" title={words.join(', ')}>
      {added > 0 && <span className="codesave-mod-added">+{added}</span>}
      {removed > 0 && <span className="codesave-mod-removed">−{removed}</span>}
      {modified > 0 && <span className="codesave-mod-modified">~{modified}</span>}
      {moved > 0 && <span className="codesave-mod-moved">↕{moved}</span>}
    </span>
  );
}

function statusWords(status: IComparedFile['status'], trans: TranslationBundle): string {
  return {
    added: trans.__('added'),
    removed: trans.__('removed'),
    renamed: trans.__('renamed'),
    modified: trans.__('modified'),
    unchanged: trans.__('unchanged')
  }[status];
}
