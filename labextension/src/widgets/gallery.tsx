import type { IOutput } from '@jupyterlab/nbformat';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import type { SessionModel } from '../model/session';
import { imageOf } from './imagediff';

interface IProps {
  model: SessionModel;
  goTo: (index: number) => void;
  trans: TranslationBundle;
}

/** Every image of a session, newest first, each leading to the execution that made it. */
export function Gallery({ model, goTo, trans }: IProps): JSX.Element {
  const images = model.executions.flatMap(({ images: outputs, prompt, line }, index) =>
    outputs.map(output => ({ index, output, prompt, line }))
  );
  if (images.length === 0) {
    return <p className="codesave-note">{trans.__('No images in this session.')}</p>;
  }
  return (
    <>
      {images.reverse().map(({ index, output, prompt, line }) => (
        <button
          key={`${index}.${output}`}
          className="codesave-Gallery-image"
          onClick={() => goTo(index)}
        >
          <Picture
            model={model}
            index={index}
            output={output}
            alt={trans.__('Image of execution %1', prompt ?? index + 1)}
          />
          <span>
            {prompt === null ? '' : `[${prompt}] `}
            {line}
          </span>
        </button>
      ))}
    </>
  );
}

interface IPictureProps {
  model: SessionModel;
  index: number;
  output: number;
  alt: string;
}

/** One image, fetched when it comes near the view. */
function Picture({ model, index, output, alt }: IPictureProps): JSX.Element {
  const image = React.useRef<HTMLImageElement>(null);
  const [source, setSource] = React.useState<string>();
  const { size } = model.executions[index];
  React.useEffect(() => {
    const observer = new IntersectionObserver(
      entries => {
        if (entries.some(({ isIntersecting }) => isIntersecting)) {
          observer.disconnect();
          // An image that cannot be had stays empty under its words.
          model.cell(index).then(
            ({ outputs }) => setSource(imageOf((outputs as IOutput[])[output] ?? null) ?? ''),
            () => setSource('')
          );
        }
      },
      { rootMargin: '300px' }
    );
    observer.observe(image.current!);
    return () => observer.disconnect();
  }, [model, index, output, size]);
  return <img ref={image} src={source} alt={alt} />;
}
