"""The fixed texts whose maps are kept while Gapfiller and Dates grow; nothing learns from them. Needs no torch."""

from datetime import date

from attention_core.training.dates.written import Form

GAP = "Once upon a time there was a king who had[MASK] daughters, and the youngest was very beautiful."
WRITTEN_DAY = date(2021, 3, 4)  # a day that is held out
WRITTEN_FORM = Form("french", "{weekday} {nth} {month} {year}")  # jeudi 4 mars 2021
