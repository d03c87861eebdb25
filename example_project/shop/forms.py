from __future__ import annotations

from django import forms

from example_project.shop.models import Order


class OrderForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    quantity = forms.IntegerField(min_value=1, max_value=100, initial=1)

    class Meta:
        model = Order
        fields = ["product", "quantity", "email"]
