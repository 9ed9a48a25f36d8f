// The curve of one figure. Without the library (it did not load) the figure stands alone.

import { useEffect, useRef } from 'preact/hooks';
import { EVERY_MS, KEPT, type Look } from '../store/health';
import type { Curve } from './chart';

const SPAN_S = (KEPT * EVERY_MS) / 1000;

export function Spark(props: {
  looks: Look[];
  value: (look: Look) => number | undefined;
  low: number;
  high: number;
  label: string;
}) {
  const box = useRef<HTMLDivElement>(null);
  const drawn = useRef<Curve | null>(null);
  const { looks, value, low, high } = props;
  const show = () => {
    drawn.current?.show(
      looks.map((look) => look.at / 1000),
      looks.map((look) => value(look) ?? null),
    );
  };
  const newest = useRef(show);
  newest.current = show;
  useEffect(() => {
    let gone = false;
    import('./chart').then(
      ({ curve }) => {
        // The screen may have been left before the library came.
        if (gone || !box.current) return;
        drawn.current = curve(box.current, { low, high, span: SPAN_S });
        newest.current();
      },
      () => undefined,
    );
    return () => {
      gone = true;
      drawn.current?.end();
      drawn.current = null;
    };
  }, []);
  useEffect(show, [looks]);
  return <div class="spark" ref={box} role="img" aria-label={props.label} />;
}
