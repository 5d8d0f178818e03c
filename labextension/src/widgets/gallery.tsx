import type { ICell, IOutput } from '@jupyterlab/nbformat';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import { executionOf } from '../model/session';
import { imageOf } from './imagediff';

interface IProps {
  cells: readonly ICell[];
  goTo: (index: number) => void;
  trans: TranslationBundle;
}

/** Every image of a session, newest first, each leading to the execution that made it. */
export function Gallery({ cells, goTo, trans }: IProps): JSX.Element {
  const images = cells.flatMap((cell, index) =>
    ((cell.outputs as IOutput[] | undefined) ?? [])
      .map(imageOf)
      .filter(source => source !== null)
      .map(source => ({ source, ...executionOf(cell, index) }))
  );
  if (images.length === 0) {
    return <p className="codesave-note">{trans.__('No images in this session.')}</p>;
  }
  return (
    <>
      {images.reverse().map(({ source, index, prompt, firstLine }, i) => (
        <button key={i} className="codesave-Gallery-image" onClick={() => goTo(index)}>
          <img
            src={source}
            alt={trans.__('Image of execution %1', prompt ?? index)}
            loading="lazy"
          />
          <span>
            {prompt === null ? '' : `[${prompt}] `}
            {firstLine}
          </span>
        </button>
      ))}
    </>
  );
}
