/** A fault in one view says so, and leaves the rest of the page and the data alone. */
import { Component, type ComponentChildren } from "preact";

export class Boundary extends Component<{ children: ComponentChildren }, { fault: string | null }> {
  override state = { fault: null };

  static override getDerivedStateFromError(error: unknown): { fault: string } {
    return { fault: error instanceof Error ? error.message : String(error) };
  }

  override componentDidCatch(error: unknown): void {
    console.error(error);
  }

  override render() {
    if (this.state.fault === null) return <>{this.props.children}</>;
    return (
      <div class="empty" role="alert">
        <h1>This view has a fault</h1>
        <p>Nothing is lost: everything is on the server. The fault was: {this.state.fault}</p>
        <button onClick={() => location.reload()}>Load the page again</button>
      </div>
    );
  }
}
