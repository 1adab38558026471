/** What Python tells the view of all heads. */

export interface Select {
  layer: number | string;
  head: number | string;
  query: number | null;
  key: number | null;
  /** Of the map. */
  metric: string;
  /** Of the scatter. */
  metric_x: string;
  metric_y: string;
  /** See data.js: parseSort. */
  sort: string;
  /** See data.js: parseOnly. */
  only: string;
}

export interface Data {
  /** Names the numbers under the data routes. */
  key: string;
  /** When it changes, `select` is taken from here. */
  seed: number;
  select: Select;
  /** Of this view; null where it has none. */
  link: string | null;
  link_note?: string;
  echo?: object | null;
  /** How the small picture is read. */
  hidden: boolean;
  renormalised: boolean;
  /** Every number is of ‖a·v·W_O‖, not of the weights. */
  by_norm: boolean;
  can_by_norm: boolean;
  /** Where plotly.js lies, below the app's root. */
  plotly: string;
  large?: boolean;
  /** The name of labels by the visitor’s own texts; "" for those of the model. */
  labels_by?: string;
}
