// A recording drawn, and how far it has been played.

import { useEffect, useRef } from 'preact/hooks';
import { envelope, progress } from '../store/recording';

const FULL_SCALE = 0.999;

function draw(canvas: HTMLCanvasElement, samples: Float32Array, played: number): void {
  const scale = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * scale);
  const height = Math.round(canvas.clientHeight * scale);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const pen = canvas.getContext('2d');
  if (!pen || width === 0) return;
  const style = getComputedStyle(canvas);
  const color = (name: string) => style.getPropertyValue(name);
  const [soft, accent, error] = [color('--soft'), color('--accent'), color('--error')];
  pen.clearRect(0, 0, width, height);
  const bar = Math.max(2, Math.round(2 * scale));
  const columns = Math.floor(width / (bar + scale));
  const middle = height / 2;
  envelope(samples, columns).forEach(([low, high], column) => {
    const cut = high >= FULL_SCALE || low <= -FULL_SCALE;
    pen.fillStyle = cut ? error : column < played * columns ? accent : soft;
    const top = Math.round(middle - high * middle);
    const bottom = Math.round(middle - low * middle);
    pen.fillRect(column * (bar + scale), top, bar, Math.max(Math.round(scale), bottom - top));
  });
}

export function Waveform(props: { samples: Float32Array; playing: boolean; label: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { samples, playing } = props;
  useEffect(() => {
    const box = canvas.current!;
    let frame = 0;
    const paint = () => {
      draw(box, samples, playing ? progress() : 0);
      if (playing) frame = requestAnimationFrame(paint);
    };
    paint();
    const again = new ResizeObserver(paint);
    again.observe(box);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', paint);
    return () => {
      cancelAnimationFrame(frame);
      again.disconnect();
      dark.removeEventListener('change', paint);
    };
  }, [samples, playing]);
  return <canvas class="waveform" ref={canvas} role="img" aria-label={props.label} />;
}
