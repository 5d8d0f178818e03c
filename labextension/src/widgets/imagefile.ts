import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import type { ComparisonModel } from '../model/comparison';
import { bytes } from '../model/titles';
import type { IComparedFile, Side } from '../tokens';
import { swipe } from './imagediff';
import { note } from './note';

/** An image file of both sides beside each other; an image runs nothing, whatever it holds. */
export function imageFile(
  model: ComparisonModel,
  file: IComparedFile,
  trans: TranslationBundle
): Widget {
  const widget = new Widget();
  widget.addClass('codesave-ImageFile');
  const pair = document.createElement('div');
  pair.className = 'codesave-Pair';
  widget.node.append(pair);
  const addresses: string[] = [];
  widget.disposed.connect(() => addresses.forEach(address => URL.revokeObjectURL(address)));

  const show = async (side: Side): Promise<string | null> => {
    const node = document.createElement('div');
    node.className = `codesave-Side codesave-mod-${side}`;
    pair.append(node);
    const content = file[side] ? await model.bytes(side) : null;
    const caption = !file[side]
      ? trans.__('Not there.')
      : content
        ? bytes(file[side].size)
        : trans.__('%1, not stored yet.', bytes(file[side].size));
    node.append(note(caption));
    if (!content || widget.isDisposed) {
      return null;
    }
    const address = URL.createObjectURL(new Blob([content], { type: file.mime ?? '' }));
    addresses.push(address);
    const alt =
      side === 'base'
        ? trans.__('%1 of the base', file.path)
        : trans.__('%1 of the head', file.path);
    node.prepend(Object.assign(document.createElement('img'), { src: address, alt }));
    return address;
  };
  void Promise.all([show('base'), show('head')]).then(([base, head]) => {
    if (base && head && !widget.isDisposed) {
      widget.node.append(swipe(base, head, trans, on => (pair.hidden = on)));
    }
  });
  return widget;
}
