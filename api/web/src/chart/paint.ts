/** The only module that knows ECharts; loaded when a curve is first shown. */
import { LineChart } from 'echarts/charts';
import { GridComponent } from 'echarts/components';
import { init, use, type EChartsType } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { INSET, timeTicks, type Span } from './window';

use([LineChart, GridComponent, CanvasRenderer]);

export interface Paintable {
  readonly times: readonly number[];
  readonly values: readonly number[];
}

export interface Painter {
  draw(data: Paintable, view: Span): void;
  /** Height of a value in the plot, in pixels from the top of the canvas. */
  yOf(value: number): number;
  resize(): void;
  /** Reads the colours of the theme again. */
  recolour(): void;
  dispose(): void;
}

/** What a CSS variable comes to in the current theme; canvases know no variables. */
function colour(host: HTMLElement, name: string): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  host.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function withAlpha(rgb: string, alpha: number): string {
  const [r = '0', g = '0', b = '0'] = rgb.match(/[\d.]+/g) ?? [];
  return `rgba(${r},${g},${b},${alpha})`;
}

const two = (value: number): string => value.toString().padStart(2, '0');

/** Axis times in UTC, as fine as the view is short. */
function axisTime(ms: number, length: number): string {
  const date = new Date(ms);
  const day = `${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`;
  const clock = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
  if (length > 300 * 86_400_000) return `${date.getUTCFullYear()}-${two(date.getUTCMonth() + 1)}`;
  if (length > 3 * 86_400_000) return day;
  if (length > 86_400_000) return `${day} ${clock}`;
  return length > 20 * 60_000 ? clock : `${clock}:${two(date.getUTCSeconds())}`;
}

export function createPainter(host: HTMLElement): Painter {
  const chart: EChartsType = init(host, undefined, { renderer: 'canvas', useDirtyRect: false });
  let last: { data: Paintable; view: Span } | undefined;

  function draw(data: Paintable, view: Span): void {
    last = { data, view };
    const curve = colour(host, '--curve');
    const rule = colour(host, '--rule');
    const quiet = colour(host, '--quiet');
    const { fontFamily } = getComputedStyle(host);
    const visible = data.values.filter((_value, index) => {
      const time = data.times[index] ?? 0;
      return time >= view.from && time <= view.to;
    });
    const shown = visible.length > 0 ? visible : data.values;
    const low = Math.min(...shown);
    const high = Math.max(...shown);
    const room = high === low ? Math.max(Math.abs(high) * 0.002, 1e-6) : (high - low) * 0.08;
    const digits = Math.min(8, Math.max(2, Math.ceil(-Math.log10((high - low + 2 * room) / 4)) + 1));
    chart.setOption(
      {
        animation: false,
        useUTC: true,
        textStyle: { fontFamily, fontSize: 12 },
        grid: { ...INSET, containLabel: false },
        xAxis: {
          type: 'time',
          min: view.from,
          max: view.to,
          axisLine: { lineStyle: { color: rule } },
          axisTick: { show: false },
          axisLabel: {
            color: quiet,
            hideOverlap: true,
            customValues: [...timeTicks(view, Math.max(2, host.clientWidth / 110))],
            formatter: (value: number) => axisTime(value, view.to - view.from),
          },
        },
        yAxis: {
          type: 'value',
          position: 'right',
          min: low - room,
          max: high + room,
          splitNumber: 4,
          splitLine: { lineStyle: { color: rule } },
          axisLabel: {
            color: quiet,
            showMinLabel: false,
            showMaxLabel: false,
            formatter: (value: number) => value.toFixed(digits),
          },
        },
        series: [
          {
            type: 'line',
            silent: true,
            showSymbol: data.times.length === 1,
            symbolSize: 7,
            itemStyle: { color: curve },
            lineStyle: { color: curve, width: 1.8, join: 'round' },
            areaStyle: { color: withAlpha(curve, 0.07), origin: 'start' },
            data: data.times.map((time, index) => [time, data.values[index] ?? 0]),
          },
        ],
      },
      { notMerge: true },
    );
  }

  return {
    draw,
    yOf: (value) => Number(chart.convertToPixel({ yAxisIndex: 0 }, value)),
    resize: () => chart.resize(),
    recolour: () => {
      if (last !== undefined) draw(last.data, last.view);
    },
    dispose: () => chart.dispose(),
  };
}
