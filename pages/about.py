"""Page: what attention weights say and what they do not, how the proof works, what is in the box."""

import streamlit as st

from attention_core.models.cards import CATALOGUE
from pages.shared.parts import theme

st.title("What attention shows, and what it does not")
st.html(
    f"""
<div class="sl-prose">
<h2>What a weight is</h2>
<p>In every layer, each token <b class="sl-q">looks</b> (its query) at tokens that it may read
(their <b class="sl-k">keys</b>) and takes in a mixture of what they carry (their <b class="sl-v">values</b>).
A weight says how large a share of that mixture comes from one token. A row of weights sums to 1.
Each head does this on its own, with its own queries, keys and values.</p>

<h2>What a weight is not</h2>
<ul>
<li><b>Not an explanation by itself.</b> Very different weights can give almost the same answer, and weights often
disagree with other measures of what mattered (Jain &amp; Wallace 2019, <i>Attention is not Explanation</i>).
That does not make them meaningless: they are part of the computation, and whether they explain anything has to be
tested
for the question at hand (Wiegreffe &amp; Pinter 2019, <i>Attention is not not Explanation</i>).</li>
<li><b>Not the amount of information that moves.</b> A key with a large weight can carry a value that is close to
zero.
Many heads put most of their weight on the first token or a separator and take next to nothing from it: an
<i>attention sink</i>. The toggles “hide special tokens” and “hide first token” show what is left.</li>
<li><b>Not a statement about words.</b> After the first layer a token's vector already mixes in its neighbours.</li>
</ul>
<p>A head that links “it” to “animal” in one sentence is an observation. That the head <i>does</i> pronouns is a
claim about
many sentences, with a control.</p>

<h2>Why the numbers can be trusted</h2>
<p>Nothing on screen is made up or re-drawn for the lesson. While the model reads your text, Sightline keeps the
queries,
keys and values of every layer and the output that the model computed from them. Whatever is shown is then computed
again by
our own formula, written out step by step:</p>
<p class="sl-formula">weights = softmax(mask(<span class="sl-q">q</span>·<span class="sl-k">k</span> × scale)),
output = weights · <span class="sl-v">v</span></p>
<p>and compared with the model's own: the output with what the model returned, the weights with what its own plain
attention
function returns for the same queries and keys. The badge shows the largest difference. It may be up to 0.00001 for
numbers
around 1, because 32-bit numbers keep about seven digits and sums come out a little different in another order. A
step that
differs by more turns the badge red and is named.</p>
<p>The badge has three more answers. <b>✓ checked</b>: every step was compared and agrees. <b>◐ checked, except …</b>:
what was compared agrees, and the badge names what was not: weights that loading dropped or made up, so that the model
that
ran may not be the one that was saved, or a step that could not be observed. <b>○ cannot be checked</b>: the
architecture
hides its queries and keys, or they are weights alone of your own, made elsewhere. The reasons are behind the badge.</p>

<h2>How to read the pictures</h2>
<ul>
<li>Rows are queries, columns are keys: <b>row looks at column</b>.</li>
<li>The colour scale is fixed from 0 to 1 unless you choose a scale per head; the legend then says so.</li>
<li>Hatched cells are masked: that query may not read that key. Masked is not zero.</li>
<li><b>Words, not pieces</b>: weights are summed over a word's keys and averaged over its queries.</li>
<li><b>Spread</b> is the entropy of a row in bits: 0 means one key, log₂(n) means all alike.
<b>Reach</b> is the mean distance in tokens.</li>
<li>In long texts a small picture shows the largest weight of each block, so that one strong link stays visible.</li>
</ul>

<h2>Models and licences</h2>
<table class="sl-table"><thead><tr><th>Model</th><th>Weights' licence</th><th>Where from</th></tr></thead><tbody>
{
        "".join(
            f"<tr><td>{theme.escape(card.name)}</td><td>{theme.escape(card.licence)}</td>"
            f"<td>{'comes with Sightline' if card.bundled else 'the model hub, when you choose it'}</td></tr>"
            for card in CATALOGUE
        )
    }
</tbody></table>
<p>Sightline's own code is under the MIT licence. It asks nobody anything while it runs, except the model hub for a
model
that you choose.</p>
</div>
"""
)
