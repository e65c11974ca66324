import { Component, type ComponentChildren } from 'preact';
import { Failure } from './parts';

interface Props {
  /** A page that broke is tried again when this changes. */
  readonly path: string;
  readonly children: ComponentChildren;
}

interface State {
  readonly error: Error | undefined;
}

/** A page that cannot be shown says so, and leaves the rest of the window working. */
export class Guard extends Component<Props, State> {
  override state: State = { error: undefined };

  override componentDidCatch(error: unknown): void {
    // For whoever looks into it; browsers report uncaught errors, and this one was caught.
    console.error(error);
    this.setState({ error: error instanceof Error ? error : new Error(String(error)) });
  }

  override componentDidUpdate(before: Props): void {
    if (before.path !== this.props.path && this.state.error !== undefined) this.setState({ error: undefined });
  }

  override render(): ComponentChildren {
    const { error } = this.state;
    if (error === undefined) return this.props.children;
    return (
      <>
        <div class="head">
          <h1>This page broke</h1>
        </div>
        <Failure
          error={new Error(`It could not be shown: ${error.message}. Nothing was signed or sent by that.`)}
          retry={() => this.setState({ error: undefined })}
        />
      </>
    );
  }
}
